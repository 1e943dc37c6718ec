# Model folders that are broken in many ways: one clear error, exit status 3, from every command that reads them.
fathom=$1; . "$(dirname "$0")/common.bash"
sums_model good

fresh() { rm -rf bad; cp -r good bad; }
# refused TEXT: every command that loads the folder refuses it, and says TEXT.
refused() {
  local command
  for command in "inspect bad" "inspect bad --json" "run bad 1 -n 1" "score bad 12"; do
    # shellcheck disable=SC2086
    status 3 timeout 20 "$fathom" $command
    same "$(grep -c 'fathom: error: ' err)" 1
    says err "$1"
    same "$(cat out)" ''
  done
}
edit() { sed -i -E "$1" bad/config.json; }

mkdir bad; refused 'bad holds no config.json'
fresh; printf '' >bad/config.json; refused config.json
fresh; printf '{"model_type": "deepseek_v3", ' >bad/config.json; refused config.json
fresh; printf '[]' >bad/config.json; refused config.json
fresh; printf '{"a":%.0s' $(seq 5000) >bad/config.json; refused config.json
fresh; edit 's/"model_type": *"deepseek_v3"/"model_type": "gpt9"/'; refused "gpt9"
fresh; edit 's/"hidden_size": *128/"hidden_size": "wide"/'; refused hidden_size
fresh; edit 's/"hidden_size": *128/"hidden_size": -128/'; refused hidden_size
fresh; edit 's/"hidden_size": *128/"hidden_size": 256/'; refused 'expected'
fresh; edit 's/"vocab_size": *22/"vocab_size": 23/'; refused embed_tokens
fresh; edit 's/"num_hidden_layers": *3/"num_hidden_layers": 4/'; refused model.layers.
fresh; edit 's/"num_hidden_layers": *3/"num_hidden_layers": 0/'; refused num_hidden_layers
fresh; edit 's/"num_hidden_layers": *3/"num_hidden_layers": 2/'; refused 'unexpected tensor model.layers.2.'
fresh; edit 's/"n_routed_experts": *8/"n_routed_experts": 16/'; refused mlp.gate.weight
fresh; edit 's/"num_experts_per_tok": *2/"num_experts_per_tok": 9/'; refused num_experts_per_tok

fresh; rm bad/model.safetensors; refused safetensors
fresh; printf '' >bad/model.safetensors; refused model.safetensors
fresh; truncate -s 7 bad/model.safetensors; refused model.safetensors
fresh; truncate -s 100000 bad/model.safetensors; refused model.safetensors
fresh; printf 'x' >>bad/model.safetensors; refused model.safetensors
fresh; printf '\xff\xff\xff\xff\xff\xff\xff\x7f' | dd of=bad/model.safetensors conv=notrunc status=none; refused model.safetensors
fresh; head -c 4096 /dev/urandom >bad/model.safetensors; refused model.safetensors
fresh; sed -i 's/"lm_head.weight"/"lm_heaD.weight"/' bad/model.safetensors
refused 'lm_head.weight is missing from bad/model.safetensors'
refused 'the nearest name is lm_heaD.weight'
# Pickled weights alone: the command that converts them, and nothing of them is read.
fresh; mv bad/model.safetensors bad/pytorch_model.bin; refused 'weights are pickled (pytorch_model.bin)'
refused 'python3 -c "import glob, sys, torch'
fresh; sed -i '0,/"F32"/s//"F31"/' bad/model.safetensors; refused F31

fresh; printf '{' >bad/tokenizer.json; refused tokenizer.json
fresh; printf '{"model": {"type": "Unigram"}}' >bad/tokenizer.json; refused Unigram

# Sizes that no file backs: refused before any memory is taken.
fresh; edit 's/"num_hidden_layers": *3/"num_hidden_layers": 1000000000/'; refused num_hidden_layers
fresh; edit 's/"n_routed_experts": *8/"n_routed_experts": 1000000000/'; refused n_routed_experts
fresh; edit 's/"hidden_size": *128/"hidden_size": 9000000000000000000/'; refused hidden_size

# Training begins from foreign folders too.
seq 200 >numbers.txt
fresh; edit 's/"hidden_size": *128/"hidden_size": 9000000000000000000/'
status 3 "$fathom" train --init bad --data numbers.txt --out run
says err hidden_size
status 3 "$fathom" grpo --init bad --out run
says err hidden_size
status 3 "$fathom" train --model bad/config.json --data numbers.txt --out run
says err hidden_size
fresh; truncate -s 100000 bad/model.safetensors
status 3 "$fathom" train --init bad --data numbers.txt --out run --row-tokens 32
says err model.safetensors

# A file that is no model, and a model without a tokenizer.
status 3 "$fathom" inspect "$0"
status 3 "$fathom" run "$0" 1
fresh; rm bad/tokenizer.json bad/tokenizer_config.json
status 3 "$fathom" run bad 1
says err 'no tokenizer.json'
status 0 "$fathom" inspect bad
