//! Spaces, their values and their rounds.

use super::param::plain;
use super::rungs::{Rung, best, rungs};
use super::space::{SHIPPED, Space};
use crate::garble::garbled;
use chainrule::rng::{Key, KeyedRng, Purpose};
use std::path::Path;

fn parse(text: &str) -> Result<Space, String> {
    let space = Space::parse(text, Path::new("space.toml"));
    space.map_err(|e| format!("{e:#}"))
}

#[test]
fn shipped_spaces_are_sound_and_survive_being_written() {
    for (name, _, text) in SHIPPED {
        let space = Space::open(Path::new(name)).expect(name);
        let plans = space.plans().expect(name);
        assert_eq!(plans.len(), space.trials);
        let again = parse(&space.text().expect("TOML")).expect("its own text");
        for number in 1..=space.trials {
            assert_eq!(space.values(number).unwrap(), again.values(number).unwrap(), "{text}");
        }
    }
}

#[test]
fn drawn_values_lie_in_their_ranges_and_know_nothing_of_each_other() {
    let text = "seed = 7\n[search]\nlr = { log-uniform = [1e-5, 1e-1] }\nbatch = { integer = [3, 9] }\n\
        momentum = { uniform = [0.5, 0.9] }\noptim = { choice = [\"sgd\", \"momentum\"] }\n";
    let space = parse(text).expect("a space");
    let names: Vec<&str> = space.params.iter().map(|p| p.key.as_str()).collect();
    let at = |name: &str| names.iter().position(|n| *n == name).unwrap();
    let mut small = 0;
    let mut batches = [0; 10];
    for number in 1..=4000 {
        let values = space.values(number).unwrap();
        let lr = values[at("lr")].as_float().unwrap();
        assert!((1e-5..=1e-1).contains(&lr));
        small += usize::from(lr < 1e-3);
        batches[values[at("batch")].as_integer().unwrap() as usize] += 1;
        assert!((0.5..=0.9).contains(&values[at("momentum")].as_float().unwrap()));
        // Four digits, so that a person can type them.
        assert!(format!("{lr:e}").split('e').next().unwrap().len() <= 5, "{lr}");
    }
    // Half of the decades lies below 1e-3; three standard deviations are 95.
    assert!((1905..=2095).contains(&small), "{small}");
    // 4000 / 7 = 571 each; five standard deviations are 110.
    assert!(batches[3..].iter().all(|n| (461..=681).contains(n)), "{batches:?}");
    // Without another parameter, and in any order, the values are the same; with another seed they are not.
    let alone = parse("seed = 7\n[search]\nlr = { log-uniform = [1e-5, 1e-1] }\n").unwrap();
    let other = parse("seed = 8\n[search]\nlr = { log-uniform = [1e-5, 1e-1] }\n").unwrap();
    for number in [9, 2, 40] {
        assert_eq!(alone.values(number).unwrap()[0], space.values(number).unwrap()[at("lr")]);
        assert_ne!(alone.values(number).unwrap(), other.values(number).unwrap());
    }
    // Every setting has a stream of its own.
    let mut streams: Vec<u32> =
        crate::settings::keys().iter().map(|k| crc32fast::hash(k.as_bytes()) >> 8).collect();
    let all = streams.len();
    streams.sort_unstable();
    streams.dedup();
    assert_eq!(streams.len(), all);
}

#[test]
fn a_grid_has_every_combination_once() {
    let text = "method = \"grid\"\n[search]\nlr = { log-uniform = [1e-4, 1e-1], points = 4 }\n\
        reg = { uniform = [0.0, 0.2], points = 3 }\nbatch = { integer = [10, 12] }\n\
        optim = { choice = [\"sgd\", \"momentum\"] }\n";
    let space = parse(text).expect("a grid");
    assert_eq!(space.trials, 4 * 3 * 3 * 2);
    let told = |n| space.values(n).unwrap().iter().map(plain).collect::<Vec<_>>().join(" ");
    let mut all: Vec<String> = (1..=space.trials).map(told).collect();
    assert_eq!(told(1), "10 0.0001 sgd 0.0".replace("0.0001", "1e-4"));
    assert_eq!(told(2), "10 1e-4 sgd 0.1");
    all.sort();
    all.dedup();
    assert_eq!(all.len(), space.trials);
    for lr in ["1e-4", "0.001", "0.01", "0.1"] {
        assert_eq!(all.iter().filter(|t| t.contains(&format!(" {lr} "))).count(), 18, "{lr}");
    }
}

#[test]
fn halving_gives_the_better_third_thrice_as_long() {
    let rung = |trials, epochs| Rung { trials, epochs };
    assert_eq!(rungs(27, 27, 1, 3), [rung(27, 1), rung(9, 3), rung(3, 9), rung(1, 27)]);
    assert_eq!(rungs(16, 10, 2, 2), [rung(16, 2), rung(8, 4), rung(4, 8), rung(2, 10)]);
    assert_eq!(rungs(5, 8, 8, 2), [rung(5, 8)]);
    assert_eq!(rungs(2, 100, 1, 3), [rung(2, 1), rung(1, 100)]);
    assert_eq!(rungs(1, 7, 1, 2), [rung(1, 7)]);
    let results = [(1, Some(0.2)), (2, None), (3, Some(0.4)), (4, Some(0.2)), (5, Some(0.1))];
    assert_eq!(best(&results, 2), [3, 1]);
    assert_eq!(best(&results, 9), [3, 1, 4, 5], "one that diverged is never chosen");
}

#[test]
fn what_cannot_be_searched_is_refused_in_a_sentence() {
    let search = "[search]\nlr = { log-uniform = [1e-4, 1e-2] }\n";
    for (text, wanted) in [
        ("", "[search]: 0 of them; expected 1 to 32 parameters"),
        ("[search]\nlrr = { uniform = [0.1, 0.2] }", "did you mean \"lr\"?"),
        ("[search]\nout = { choice = [\"a\"] }", "\"out\" cannot be searched"),
        ("[search]\nseed = { integer = [1, 5] }", "\"seed\" cannot be searched"),
        ("[search]\nlr = 0.1", "[search] lr: invalid type"),
        ("[search]\nlr = {}", "no range; expected one of { log-uniform"),
        ("[search]\nlr = { uniform = [0.1, 0.2], choice = [1] }", "more than one range"),
        ("[search]\nlr = { log-uniform = [0.0, 0.2] }", "numbers with a logarithm are above 0"),
        ("[search]\nlr = { uniform = [0.2, 0.1] }", "the first must be below the second"),
        ("[search]\nlr = { uniform = [nan, 0.1] }", "the first must be below the second"),
        ("[search]\nbatch = { integer = [1, 9223372036854775807] }", "the first must be below"),
        ("[search]\nlr = { choice = [] }", "0 values; it must be from 1 to 1000"),
        ("[search]\nlr = { uniform = [0.1, 0.2], points = 1 }", "it must be from 2 to 1000"),
        ("[search]\nlr = { uniform = [0.1, 0.2], point = 3 }", "unknown field"),
        ("method = \"girds\"\n", "did you mean \"grid\"?"),
        ("methods = \"grid\"\n", "did you mean \"method\"?"),
        ("trials = 0\n", "trials = 0; it must be from 1 to 10000"),
        ("trials = \"many\"\n", "trials = \"many\": invalid type"),
        ("eta = 3\n", "eta goes with method = \"halving\""),
        ("method = \"grid\"\ntrials = 3\n", "trials: a grid has as many"),
        ("method = \"grid\"\n", "search.lr: a range without points"),
        ("[settings]\nlr = 0.1\n", "lr is in [settings] and in [search]"),
        ("[settings]\nlr-decoy = 0.1\n", "[settings]: unknown key \"lr-decoy\""),
        ("[final]\nepoch = 3\n", "did you mean \"epochs\"?"),
        ("[settings]\nquiet = true\n", "[settings]: unknown key \"quiet\""),
        ("settings = 3\n", "settings = 3: invalid type"),
        ("a = [[[[\n", "not TOML"),
    ] {
        let text = if text.contains("[search]") || text.is_empty() {
            text.to_string()
        } else {
            format!("{text}{search}")
        };
        let said = parse(&text).err().unwrap_or_else(|| panic!("{text} was taken"));
        assert!(said.contains(wanted), "{text}\n{said}");
        assert!(said.starts_with("space.toml: ") || said.starts_with("search."), "{said}");
    }
    // What only shows when a trial's settings are put together.
    for (text, wanted) in [
        ("[search]\nlr = { choice = [0.1, \"fast\"] }", "lr"),
        (
            "[search]\ndropout-keep = { uniform = [0.5, 1.5] }\n[settings]\nmodel = \"fully-connected\"",
            "dropout-keep",
        ),
        ("[search]\nbatch = { integer = [0, 1] }", "batch"),
        ("[search]\nfilters = { integer = [1, 9] }", "filters"),
        ("[search]\noptim = { choice = [\"sgd\", \"adamm\"] }", "adam"),
        (
            "method = \"halving\"\nmin-epochs = 9\n[settings]\nepochs = 3\n[search]\nlr = { uniform = [0.1, 0.2] }",
            "min-epochs",
        ),
        ("[search]\nlr = { uniform = [0.1, 0.2] }\n[final]\nepochs = 0", "[final]"),
    ] {
        let space = parse(text).expect("each line of it is sound");
        let said = format!("{:#}", space.plans().err().unwrap_or_else(|| panic!("{text}")));
        assert!(said.contains(wanted), "{text}\n{said}");
    }
}

/// Whatever a file holds, it is read or refused in a sentence: random changes of a whole space, the same each time.
#[test]
fn no_space_can_harm() {
    let pieces = [
        "-1",
        "1e999",
        "nan",
        "\"\"",
        "[",
        "]",
        "{",
        "}",
        "=",
        "[[a]]",
        "a.b",
        "9".repeat(30).leak(),
        "\u{0}",
        "true",
        "\n",
        "#",
        ",",
        "integer",
        "points = 999",
        "grid",
        "halving",
    ];
    let mut random = KeyedRng::new(Key::new(0, Purpose::Check));
    let mut read = 0;
    for round in 0..3000 {
        let text = garbled(SHIPPED[round % SHIPPED.len()].2, &pieces, &mut random);
        match parse(&text) {
            // All plans of a few trials: what it says is put together.
            Ok(space) if space.trials <= 27 => read += usize::from(space.plans().is_ok()),
            Ok(space) => read += usize::from(space.values(space.trials).is_ok()),
            Err(error) => assert!(
                error.contains("space.toml") || error.starts_with("search."),
                "{error}: {text}"
            ),
        }
    }
    assert!(read > 100, "some changes are harmless: {read}");
}
