# A training run killed 50 times at random instants ends with the weights of one that never stopped.
fathom=$1; here=$(dirname "$0")/../e2e; . "$here/common.bash"; . "$here/kills.bash"
kill_often 50 1500 600
echo "50 kills, 1500 steps saved one by one: every newest checkpoint loads, weights and optimiser as of an uninterrupted run"
