"""Texts that tell tokenizers apart: documents(seed, bytes) and adversarial(bytes), as raw bytes."""

import random

LATIN = "the of and to in is that for it as was with be by on not he his but at are this have from or had an they which one you were her all she there would their we him been has when who will more no if out so said what up its about into than them can only other new some could time these two may then do first any my now such like our over man me even most made after also did many before must through back years where much your way well down should because each just those people how too little state good very make world still own see men work long get here between both life being under never day same another know while last might us great old year off come since against go came right used take three".split()
SCRIPTS = {
    "cjk": [(0x4E00, 0x9FFF)] * 6 + [(0x3041, 0x3096), (0x30A1, 0x30FA), (0xAC00, 0xD7A3), (0x3000, 0x303F), (0xFF01, 0xFF5E), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x9FA0, 0x9FFF), (0x31C0, 0x31EF), (0x2FF0, 0x2FFF)],
    "arabic": [(0x620, 0x64A)] * 6 + [(0x64B, 0x65F), (0x660, 0x669), (0x6F0, 0x6F9), (0x600, 0x61F), (0x8A0, 0x8FF), (0xFB50, 0xFDFF), (0xFE70, 0xFEFF), (0x200C, 0x200F)],
    "thai": [(0xE01, 0xE3A)] * 3 + [(0xE40, 0xE5B), (0xE81, 0xEDF), (0x1780, 0x17F9), (0x1000, 0x109F), (0x900, 0x97F), (0xB80, 0xBFF)],
    "cyrillic": [(0x430, 0x44F)] * 4 + [(0x410, 0x42F), (0x400, 0x4FF), (0x370, 0x3FF), (0x1F00, 0x1FFF), (0x10A0, 0x10FF), (0x13A0, 0x13FF), (0x1C80, 0x1CBF), (0x530, 0x58F)],
    "latin": [(0xC0, 0x24F)] * 2 + [(0x250, 0x2AF), (0x1E00, 0x1EFF), (0x2100, 0x214F), (0xA720, 0xA7FF), (0x1D00, 0x1DBF), (0x149, 0x17F), (0x2C60, 0x2C7F), (0xAB30, 0xAB6F)],
    "numbers": [(0x30, 0x39)] * 4 + [(0xB2, 0xBE), (0x2150, 0x218B), (0x2460, 0x249B), (0x966, 0x96F), (0xFF10, 0xFF19), (0x1D7CE, 0x1D7FF), (0x3220, 0x3229), (0x10D40, 0x10D49), (0x16FF0, 0x16FF6), (0x11DE0, 0x11DE9), (0x1CCF0, 0x1CCF9), (0x12400, 0x1246E)],
    "symbols": [(0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E), (0xA1, 0xBF), (0x2010, 0x205E), (0x20A0, 0x20C0), (0x2190, 0x23FF), (0x2500, 0x27BF), (0x3001, 0x3020), (0xFE50, 0xFE6B), (0x1CC00, 0x1CEB3), (0x2E00, 0x2E5D)],
    "marks": [(0x61, 0x7A), (0x300, 0x36F), (0x300, 0x36F), (0x483, 0x489), (0x591, 0x5C7), (0x610, 0x61A), (0x897, 0x8E1), (0x93C, 0x94D), (0xE38, 0xE4D), (0xF71, 0xF84), (0x1AB0, 0x1ACE), (0x1DC0, 0x1DFF), (0x20D0, 0x20F0), (0x302A, 0x302F), (0x3099, 0x309A), (0x1D165, 0x1D172), (0x1E8D0, 0x1E8D6), (0xC0, 0x17F), (0x1EA0, 0x1EF9), (0x10A38, 0x10A3F), (0x11100, 0x11134), (0xDDA, 0xDDF), (0x9BE, 0x9D7)],
    "jamo": [(0x1100, 0x1112), (0x1161, 0x1175), (0x11A8, 0x11C2), (0xAC00, 0xAC1C), (0xA960, 0xA97C), (0xD7B0, 0xD7FB), (0x302E, 0x302F)],
    "compatibility": [(0xF900, 0xFAD9), (0x2F800, 0x2FA1D), (0x2126, 0x212B), (0x340, 0x344), (0x1F71, 0x1FFD), (0x2000, 0x2001), (0x2ADC, 0x2ADC), (0xFB1D, 0xFB4E), (0x958, 0x95F), (0x1D15E, 0x1D164)],
    "control": [(0, 0x1F), (0, 0x20), (0x7F, 0xA0), (0x200B, 0x200F), (0x2028, 0x202F), (0x2060, 0x206F), (0xFFF0, 0xFFFF), (0xE000, 0xE0FF), (0xE0100, 0xE01EF), (0x180B, 0x180F), (0xFEFF, 0xFEFF), (0x61, 0x66)],
    "any": [(0, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x1FFFF), (0x20000, 0x10FFFF), (0, 0x7F), (0x10000, 0x1FBFF), (0x1F000, 0x1FAFF)],
}
SPACES = [" ", " ", " ", " ", "  ", "\n", "\t", "   ", "\r\n", "\u00a0", "\u3000", "\u2003", "\x85", "\u2028", "\x0b", "\x0c", " \n ", "\n\n", "\t\t", "        "]
EMOJI = ["\U0001F600", "\U0001F468\u200d\U0001F469\u200d\U0001F467", "\U0001F44D\U0001F3FD", "\U0001F1EB\U0001F1F7", "\u2764\ufe0f", "\U0001F3F3\ufe0f\u200d\U0001F308", "1\ufe0f\u20e3", "\U0001FAE9", "\U0001FADF", "\U0001FAC6", "\U0001F9D1\u200d\U0001F4BB", "\u2639", "\U0001F3F4\U000E0067\U000E0062\U000E007F", "\U0001F9BF", "\U0001FAA9"]
CODE = ["def f(self, x):\n    return self.x[x] + 1\n", "for (int i = 0; i < n; ++i) {\n\tsum += a[i];\n}\n", "if __name__ == '__main__':\n        main()\r\n", "#include <vector>\n", "\t\t\tconst auto& x_1 = y->z::w;\n", "SELECT * FROM t WHERE a='b' AND c<>3;\n", "  // don't we'LL they'Re I'VE 'S'T'ſ\n", "<div class=\"a-b\">&nbsp;</div>\n", "x = 0xDEADBEEF ^ 1e-10 // 3.14159\n", "https://ex.org/a?b=1&c=%20#d ", "@@ -1,3 +1,4 @@\n", "{\"k\": [1, 22, 333, 4444, 55555]}\n", "||| --- === ***\n\n\n", "\\begin{eq} \\frac{a}{b} \\end{eq}\n", "C:\\Users\\x\\n", "$(echo `ls -l | grep x`)\n"]
ADDED = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<think>", "</think>", "<|EOT|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|eot_id|>", "<｜fim▁hole｜>", "<｜tool▁calls▁begin｜>", "<pad>", "<|User|>", "<tool_call>", "<｜place▁holder▁no▁7｜>", "<｜place▁holder▁no▁77｜>", "<｜Us", "<|", "ü", "ö", "ø", "÷"]


def _words(rng, script):
    ranges = SCRIPTS[script]
    return "".join(chr(rng.randint(*rng.choice(ranges))) for _ in range(rng.randint(1, 9)))


def _piece(rng, kind):
    if kind == "english":
        word = rng.choice(LATIN)
        word = rng.choice([word, word, word, word.title(), word.upper(), word + rng.choice("sedy")])
        return word + rng.choice([" ", " ", " ", " ", ", ", ". ", "'s ", "-", "\n", "? ", " 19%02d " % rng.randint(0, 99)])
    if kind == "code":
        return rng.choice(CODE)
    if kind == "emoji":
        return rng.choice(EMOJI) + rng.choice(["", "", " ", "x", "\n"])
    if kind == "added":
        return rng.choice(ADDED) + rng.choice(["", "a", " ", "\n"])
    if kind == "runs":
        return rng.choice(["a", " ", "\n", "=", "-", "A", "0", "9", "\t", "\r\n", "你", "é", "ก", "\U0001F600", "!", "ha", "x ", "\u00a0", "'", "_", "\x00", "e\u0301"]) * rng.choice([1, 2, 3, 5, 8, 16, 17, 40, 100, 333, 1000])
    return _words(rng, kind) + rng.choice(SPACES + ["", "", ""])


KINDS = ["english", "code", "emoji", "added", "runs"] + list(SCRIPTS)


def document(rng, size, kinds=KINDS):
    main = rng.sample(kinds, rng.choice([1, 1, 2, 3, len(kinds)]))
    parts, length = [], 0
    while length < size:
        kind = rng.choice(main) if rng.random() < 0.9 else rng.choice(kinds)
        part = _piece(rng, kind).encode("utf-8", "surrogatepass")
        if rng.random() < 0.002:
            part = bytes(rng.randint(0, 255) for _ in range(rng.randint(1, 6)))
        parts.append(part)
        length += len(part)
    return b"".join(parts)[:size]


def documents(seed, total, kinds=KINDS):
    rng = random.Random(seed)
    made = 0
    while made < total:
        size = rng.choice([rng.randint(0, 64), rng.randint(64, 4096), 65536, 65536, rng.randint(4096, 65536)])
        yield document(rng, size, kinds)
        made += size


def adversarial(seed, size):
    rng = random.Random(seed)

    def fill(text):
        data = text.encode() if isinstance(text, str) else text
        return (data * (size // len(data) + 1))[:size]

    def draw(characters):
        return "".join(rng.choices(characters, k=size)).encode()[:size]

    marks = [chr(c) for c in range(0x300, 0x370)]
    return [
        fill("a"), fill(" "), fill("\n"), fill("ab"), fill("ha"), fill("7"), fill("="), fill("你"),
        fill("\U0001F600"), fill("\r\n"), fill("\t\n "), fill("'s'S'll'L"), fill("\x00"),
        fill("<｜place▁holder▁no▁"), fill("\u1100\u1161\u11a8"), fill("\u0e01\u0e33"),
        draw("abcdefghijklmnopqrstuvwxyz"), draw("ABCDEFabcdef0123456789+/"), fill("e" + "".join(rng.choices(marks, k=400))),
        bytes(rng.randint(0, 255) for _ in range(size)), draw("ACGT"), fill("x\u00a0\u3000 "),
    ]
