//! A chain of 100,000 operations: the way back neither overflows the stack nor leaves memory behind. One test in a process of its
//! own, because it counts the memory in use by every thread.

use chainrule::tape::Tape;
use chainrule::tensor::Tensor;
use chainrule_kernels::buffer::pool_stats;

#[test]
fn a_long_chain_neither_overflows_the_stack_nor_leaks() {
    let w = Tensor::from_f64([3], &[1.0, 2.0, 3.0]);
    let tape = Tape::train(0);
    let before = pool_stats().in_use;
    for _ in 0..2 {
        let mut x = tape.leaf(&w);
        for _ in 0..100_000 {
            x = x * 1.0;
        }
        let loss = x.sum();
        assert_eq!(tape.len(), 100_002);
        let grads = loss.backward();
        assert_eq!(grads[&w].to_vec(), [1.0; 3]);
        drop((x, loss, grads));
        assert_eq!(pool_stats().in_use, before, "bytes in use after the way back");
    }
    // A tape that is dropped instead of walked back.
    let mut x = tape.leaf(&w);
    for _ in 0..100_000 {
        x = x.exp().log();
    }
    drop((x, tape));
    assert_eq!(pool_stats().in_use, before, "bytes in use after dropping the tape");
}
