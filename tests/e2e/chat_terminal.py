"""Talks to `fathom chat` on a pseudo-terminal: chat_terminal.py PROGRAM, in a folder with the models of chat_terminal.sh."""
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time

PROGRAM = sys.argv[1]
PATIENCE = 60  # seconds
UP, LEFT, HOME = b'\x1b[A', b'\x1b[D', b'\x01'
CTRL_C, CTRL_D, CTRL_K = b'\x03', b'\x04', b'\x0b'


class Terminal:
    """The program with a pseudo-terminal for its standard input, output and errors."""

    def __init__(self, *arguments, **environment):
        self.seen = b''
        self.at = 0  # what expect() has passed
        pid, self.master = pty.fork()
        if pid == 0:
            os.environ.update({'TERM': 'xterm', 'LC_ALL': 'C', 'HOME': '/nonexistent'} | environment)
            os.execv(PROGRAM, [PROGRAM, *arguments])
        self.pid = pid
        self.usual = self.modes()

    def modes(self):
        return termios.tcgetattr(self.master)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def send(self, keys):
        os.write(self.master, keys if isinstance(keys, bytes) else keys.encode())

    def _read(self, until):
        ready, _, _ = select.select([self.master], [], [], max(0, until - time.monotonic()))
        try:
            piece = os.read(self.master, 65536) if ready else b''
        except OSError:  # the other end is closed
            piece = b''
        self.seen += piece
        return piece != b''

    def expect(self, pattern):
        """Waits for the pattern behind what was expected before; returns the text between and the match."""
        until = time.monotonic() + PATIENCE
        while True:
            found = re.search(pattern.encode(), self.seen[self.at:], re.DOTALL)
            if found:
                between = self.seen[self.at:self.at + found.start()]
                self.at += found.end()
                return between.decode(errors='replace'), found
            if not self._read(until):
                raise AssertionError(f'no {pattern!r} in {self.seen[self.at:]!r}; before it: {self.seen[:self.at]!r}')

    def prompt(self):
        """Waits until the program reads keys."""
        between, _ = self.expect('>>> ')
        return plain(between)

    def ask(self, keys):
        """Types a line at the prompt; returns what follows it, up to the next prompt."""
        self.send(keys + (b'\r' if isinstance(keys, bytes) else '\r'))
        self.expect('\n')
        return self.prompt()

    def end(self):
        """The exit status, once the program has ended, and the modes it left the terminal in."""
        until = time.monotonic() + PATIENCE
        while self._read(until):
            pass
        modes = self.modes()
        _, status = os.waitpid(self.pid, 0)
        os.close(self.master)
        return os.waitstatus_to_exitcode(status), modes == self.usual


def plain(text):
    """Without the sequences that move the cursor."""
    return re.sub(r'\x1b\[[0-9;?]*[A-Za-z]|\x1b[>=]', '', text).replace('\r', '').strip()


def run(folder, question):
    return subprocess.run([PROGRAM, 'run', folder, question, '--temp', '0', '-n', '6'], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=True).stdout.strip()


def same(got, expected):
    assert got == expected, f'{got!r} is not {expected!r}'


def answer_of(text):
    """The answer alone; that it was cut off is said behind it."""
    return text.split('\n(cut off')[0].strip()


def chat(folder, *flags, **environment):
    terminal = Terminal('chat', folder, '--temp', '0', '-n', '6', '--alone', *flags, **environment)
    terminal.prompt()
    return terminal


def test_keys_edit_the_line_and_up_brings_it_back():
    terminal = chat('sums')
    expected = {question: run('sums', question) for question in ('7+9=?', '1+2=?', '7+8=?')}
    same(len(set(expected.values())), 3)
    same(answer_of(terminal.ask('7+9=?')), expected['7+9=?'])
    # 2+2=? with the first digit replaced; the rest of a longer line cut off.
    same(answer_of(terminal.ask(b'2+2=?999' + LEFT * 3 + CTRL_K + HOME + CTRL_D + b'1')), expected['1+2=?'])
    same(answer_of(terminal.ask(UP * 2)), expected['7+9=?'])
    same(answer_of(terminal.ask(UP + LEFT * 2 + b'\x7f8')), expected['7+8=?'])
    terminal.send(CTRL_D)
    same(terminal.end(), (0, True))


def test_letters_beyond_ascii_are_one_key_each():
    terminal = chat('umlauts')
    terminal.send('a語ä\x7f\x7fö\x01ü\r')
    terminal.expect('\n')
    terminal.prompt()
    terminal.send('/system aü語ö\x7fä\r')
    terminal.prompt()
    said = terminal.ask('/show system')
    same(said, 'aü語ä')
    terminal.send(CTRL_D)
    same(terminal.end(), (0, True))


def test_several_lines_make_one_question():
    terminal = chat('sums')
    for first, rest in (('"""1+', ['2', '3=?"""']), ('1+2\\', ['3=?'])):
        terminal.send(first + '\r')
        for line in rest:
            terminal.expect(r'\.\.\. ')
            terminal.send(line + '\r')
        terminal.expect('\n')
        assert "U+000A" in terminal.prompt()  # the model has no line end, and says so of the whole question
    terminal.send('"""1+\r')
    terminal.expect(r'\.\.\. ')
    terminal.send(CTRL_C)  # leaves the question, not the program
    terminal.prompt()
    same(answer_of(terminal.ask('1+2=?')), run('sums', '1+2=?'))
    terminal.send(CTRL_D)
    same(terminal.end(), (0, True))


def test_ctrl_c_drops_what_was_typed_and_twice_ends_where_nothing_was():
    terminal = chat('sums')
    for _ in range(3):
        terminal.send('7+7')
        terminal.expect(re.escape('7+7'))
        terminal.send(CTRL_C)
        terminal.prompt()
    same(answer_of(terminal.ask('1+2=?')), run('sums', '1+2=?'))
    terminal.send(CTRL_C)
    terminal.expect('so does Ctrl-C once more')
    terminal.prompt()
    same(answer_of(terminal.ask('1+2=?')), run('sums', '1+2=?'))  # which begins the count anew
    terminal.send(CTRL_C)
    terminal.expect('so does Ctrl-C once more')
    terminal.prompt()
    terminal.send(CTRL_C)
    same(terminal.end(), (130, True))


def test_keys_with_modifiers_leave_nothing_in_the_line():
    terminal = chat('sums')
    ctrl_left, ctrl_right, end, f12, mouse = b'\x1b[1;5D', b'\x1b[1;5C', b'\x1b[4~', b'\x1b[24~', b'\x1b[<0;12;3M'
    keys = b'+2=?' + HOME + b'1' + f12 + mouse + ctrl_right + ctrl_left + end + b'\x1b[1;5H' + b'9' + b'\x7f'
    same(answer_of(terminal.ask(keys)), run('sums', '1+2=?'))
    same(answer_of(terminal.ask(b'x1+2=?' + HOME + b'\x1b[3~')), run('sums', '1+2=?'))  # Delete
    terminal.send(CTRL_D)
    same(terminal.end(), (0, True))


def test_a_paste_is_one_question_whatever_is_in_it():
    terminal = chat('sums')
    same(answer_of(terminal.ask(b'\x1b[200~1+2\x1b[A\x07\x1b[201~=?')), 'tokenizer: the vocabulary has no token for '
         "'[' (U+005B), 'A' (U+0041); it knows 15 characters. Remove or replace them, or use a byte tokenizer")
    same(answer_of(terminal.ask(b'\x1b[200~1+2\x1b[201~=?')), run('sums', '1+2=?'))
    terminal.send(b'\x1b[200~1+\r\n2\x1b[201~=?\r')
    terminal.expect(re.escape('U+000A'))  # of the whole question: the line end did not end it
    terminal.prompt()
    assert b'\x1b[?2004h' in terminal.seen and b'\x1b[?2004l' in terminal.seen
    terminal.send(CTRL_D)
    same(terminal.end(), (0, True))


def test_lines_are_remembered_from_chat_to_chat():
    state = os.path.join(os.getcwd(), 'state')
    for keys in (b'7+9=?', UP):
        terminal = chat('sums', XDG_STATE_HOME=state)
        same(answer_of(terminal.ask(keys)), run('sums', '7+9=?'))
        terminal.send(CTRL_D)
        same(terminal.end(), (0, True))
    same(open(state + '/fathom/history').read(), '7+9=?\n7+9=?\n')
    terminal = chat('sums', XDG_STATE_HOME=state, FATHOM_NOHISTORY='1')
    terminal.send(UP + b'1+2=?\r')
    terminal.expect('\n')
    same(answer_of(terminal.prompt()), run('sums', '1+2=?'))
    terminal.send(CTRL_D)
    same(terminal.end(), (0, True))


def test_tab_completes_and_ctrl_g_edits():
    with open('question.txt', 'w') as file:
        file.write('1+2=?\n')
    terminal = chat('sums', EDITOR='sed -i s/7/1/')
    same(answer_of(terminal.ask('/rea\tquesti\t')), run('sums', '1+2=?'))
    terminal.send('7+2=?\x07')
    terminal.expect('>>> ')  # drawn anew
    same(answer_of(terminal.ask('')), run('sums', '1+2=?'))
    terminal.send('7+9=?\r')
    terminal.prompt()
    same(answer_of(terminal.ask('/edit')), run('sums', '1+9=?'))
    terminal.send(CTRL_D)
    same(terminal.end(), (0, True))


def test_ctrl_c_stops_an_answer_and_not_the_program():
    terminal = Terminal('chat', 'slow', '--temp', '0', '--alone')
    terminal.prompt()
    terminal.send('1+2=?\r')
    terminal.expect('\n[^\n]{10}')  # the answer has begun
    terminal.send(CTRL_C)
    terminal.expect(re.escape('(stopped)'))
    terminal.prompt()
    tokens = int(re.search(r'answer +(\d+) tokens', terminal.ask('/stats'))[1])
    assert tokens >= 1, tokens
    terminal.send(CTRL_D)
    same(terminal.end(), (0, True))


def test_a_signal_from_outside_ends_it_and_restores_the_terminal():
    terminal = chat('sums')
    terminal.send('1+')
    terminal.expect(re.escape('1+'))
    os.kill(terminal.pid, signal.SIGTERM)
    same(terminal.end(), (143, True))


def test_thinking_is_dimmed_unless_colour_is_unwanted():
    terminal = chat('sums', '--think')
    terminal.send('1+2=?\r')
    between, _ = terminal.expect('>>> ')
    assert '\x1b[2mThinking…' in between and '\x1b[0m' in between, between
    terminal.send(CTRL_D)
    same(terminal.end(), (0, True))
    terminal = chat('sums', '--think', NO_COLOR='1')
    terminal.send('1+2=?\r')
    between, _ = terminal.expect('>>> ')
    assert 'Thinking…' in between and '\x1b[2m' not in between, between
    terminal.send(CTRL_D)
    same(terminal.end(), (0, True))


def test_what_a_model_writes_is_shown_and_never_obeyed():
    # On a terminal without cursor movement every byte of the answer is the model's.
    terminal = Terminal('chat', 'escapes', '--seed', '1', '-n', '200', '--alone', TERM='dumb')
    terminal.prompt()
    shown = ''
    for _ in range(5):
        terminal.send('1\r')
        terminal.expect('\n')
        between, _ = terminal.expect('>>> ')
        shown += between
    assert not re.search('[\x07\x1b\x7f]', shown), shown
    assert all(mark in shown for mark in '␛␇␡'), shown
    terminal.send(CTRL_D)
    same(terminal.end(), (0, True))


def test_json_is_for_pipes():
    terminal = Terminal('chat', 'sums', '--output', 'json')
    terminal.expect("--output is 'json' and the questions are typed")
    same(terminal.end(), (2, True))


failed = 0
for name, test in sorted(globals().items()):
    if name.startswith('test_'):
        try:
            test()
        except Exception as error:  # each is told; the others still run
            failed += 1
            print(f'{name}: {type(error).__name__}: {error}', file=sys.stderr)
sys.exit(failed > 0)
