//! What the targets of files of weights share: such a file is read into a small network.

use chainrule::models::{FullyConnectedConfig, FullyConnectedNet, Model};
use chainrule::rng::Rng;
use chainrule::train::load_weights;

/// Reads `bytes` as a file of weights with this ending. What is refused leaves the network as it was.
pub fn read(bytes: &[u8], ending: &str) {
    let path = std::env::temp_dir().join(format!("chainrule-fuzz-{}.{ending}", std::process::id()));
    std::fs::write(&path, bytes).expect("a scratch file");
    let config = FullyConnectedConfig {
        input_shape: vec![1, 2, 2],
        hidden: vec![3],
        classes: 2,
        ..FullyConnectedConfig::default()
    };
    let mut net = FullyConnectedNet::new(config, &mut Rng::new(0));
    let all = |net: &FullyConnectedNet| -> Vec<f32> {
        net.params().iter().flat_map(|p| p.value.data::<f32>().to_vec()).collect()
    };
    let before = all(&net);
    if load_weights(&mut net, &path).is_err() {
        assert_eq!(all(&net), before);
    }
}
