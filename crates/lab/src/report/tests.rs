//! The whole page: that it is well formed, complete, safe and small.

use std::f64::consts::PI;

use super::seen::tests::shown;
use super::{EpochPoint, Report, WeightGrid};

/// Elements that have no end tag.
const VOID: [&str; 4] = ["meta", "link", "img", "br"];

/// A stream of numbers in [0, 1) that is the same every time.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// About normal with variance 1: twelve uniform numbers.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }
}

/// A report as a run of half a minute leaves it: noisy falling loss, ten classes, a grid of blobs.
fn sample() -> Report {
    let mut noise = Noise(7);
    let (epochs, per_epoch) = (24u64, 250u64);
    let steps = epochs * per_epoch;
    let loss = (1..=steps).map(|step| {
        let t = step as f64 / steps as f64;
        let trend = 0.62 + 1.68 * (-3.1 * t).exp() - 0.25 * t;
        (step, (trend * (1.0 + 0.11 * noise.normal())).max(0.05))
    });
    let loss = loss.collect();
    let learning_rate = (1..=steps).map(|step| {
        let t = step as f64 / steps as f64;
        let warm = (step as f64 / 500.0).min(1.0);
        (step, 1e-3 * warm * 0.5 * (1.0 + (PI * t).cos()))
    });
    let accuracy = (1..=epochs).map(|epoch| {
        let t = epoch as f64 / epochs as f64;
        let train = 0.28 + 0.5 * (1.0 - (-2.2 * t).exp()) + 0.008 * noise.normal();
        let val = 0.27 + 0.27 * (1.0 - (-4.0 * t).exp()) + 0.006 * noise.normal();
        EpochPoint { epoch: epoch as f64, train, val }
    });
    let classes = "airplane automobile bird cat deer dog frog horse ship truck";
    let pairs = |list: &[(&str, &str)]| {
        list.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect::<Vec<_>>()
    };
    Report {
        title: "Fully connected 200-150 on CIFAR-10".into(),
        run: "fully-connected-0001".into(),
        command: "chainrule train --model fully-connected --hidden 200,150 --norm batch --optim adam --lr 1e-3 \
                  --epochs 24 --batch 256 --seed 0"
            .into(),
        headline: pairs(&[
            ("Best validation accuracy", "54.1%"),
            ("Test accuracy", "52.9%"),
            ("Final loss", "0.4431"),
            ("Steps", "6,000"),
            ("Time", "31.4 s"),
            ("Images a second", "48,900"),
            ("Parameters", "646,260"),
        ]),
        learning_rate: learning_rate.collect(),
        loss,
        accuracy: accuracy.collect(),
        classes: classes.split(' ').map(String::from).collect(),
        confusion: confusion(&mut noise),
        confusion_split: "validation".into(),
        worst: shown(18),
        sample: shown(12),
        weights: Some(blobs(&mut noise)),
        config: pairs(&[
            ("model", "fully-connected"),
            ("hidden", "200,150"),
            ("norm", "batch"),
            ("dropout-keep", "0.8"),
            ("reg", "1e-3"),
            ("weight-scale", "1e-2"),
            ("optim", "adam"),
            ("lr", "1e-3"),
            ("schedule", "cosine, 500 steps of warm-up"),
            ("epochs", "24"),
            ("batch", "256"),
            ("seed", "0"),
            ("dtype", "f32"),
            ("data", "the embedded excerpt of CIFAR-10"),
            ("out", "runs/small-convnet-0001"),
        ]),
        machine: pairs(&[
            ("Processor", "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz"),
            ("SIMD", "AVX-512"),
            ("Threads", "2"),
            ("System", "Linux x86_64"),
            ("chainrule", "0.1.0"),
        ]),
        notes: vec![],
    }
}

/// Counts of ten classes with the mistakes people would expect.
fn confusion(noise: &mut Noise) -> Vec<Vec<u64>> {
    let alike = [(3, 5), (1, 9), (0, 8), (4, 7), (2, 4), (3, 6), (2, 6)];
    let count = |row: usize, column: usize, u: f64| {
        let near = alike.contains(&(row, column)) || alike.contains(&(column, row));
        match (row == column, near) {
            (true, _) => 40 + (30.0 * u) as u64,
            (_, true) => 8 + (12.0 * u) as u64,
            _ => (7.0 * u) as u64,
        }
    };
    (0..10).map(|r| (0..10).map(|c| count(r, c, noise.next())).collect()).collect()
}

/// A hundred tiles of 32 x 32 with two coloured blobs each, a pixel of grey between them.
fn blobs(noise: &mut Noise) -> WeightGrid {
    let side = 10 * 33 + 1;
    let mut rgb = vec![128; side * side * 3];
    for tile in 0..100 {
        let (top, left) = (1 + tile / 10 * 33, 1 + tile % 10 * 33);
        let spots: Vec<[f64; 6]> = (0..2)
            .map(|_| {
                let mut any = || noise.next();
                [
                    32.0 * any(),
                    32.0 * any(),
                    4.0 + 8.0 * any(),
                    any() - 0.5,
                    any() - 0.5,
                    any() - 0.5,
                ]
            })
            .collect();
        for pixel in 0..32 * 32 {
            let (y, x) = (pixel / 32, pixel % 32);
            for channel in 0..3 {
                let glow = |s: &[f64; 6]| {
                    let far = (y as f64 - s[0]).powi(2) + (x as f64 - s[1]).powi(2);
                    s[3 + channel] * (-far / (s[2] * s[2])).exp()
                };
                let value = 0.5 + spots.iter().map(glow).sum::<f64>() + 0.04 * noise.normal();
                let at = ((top + y) * side + left + x) * 3 + channel;
                rgb[at] = (255.0 * value.clamp(0.0, 1.0)) as u8;
            }
        }
    }
    let caption = "What each of the first 100 units of the first layer looks for: its weights as a picture, \
                   each scaled to its own range.";
    WeightGrid { width: side as u32, height: side as u32, rgb, caption: caption.into() }
}

/// Panics unless every start tag meets its end tag, every attribute is quoted, and no quote or bracket is left over.
pub(super) fn assert_well_formed(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("a document type");
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>'), "a stray > in {:?}", &rest[..start]);
        let tag = &rest[start + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let end = name.find('>').expect("an end tag ends");
            assert_eq!(open.pop(), Some(&name[..end]), "in {open:?}");
            rest = &name[end + 1..];
            continue;
        }
        let (end, closed) = tag_end(tag);
        let name = tag.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or("");
        assert!(!name.is_empty(), "a stray < before {:?}", tag.get(..20));
        rest = &tag[end + 1..];
        if !closed && !VOID.contains(&name) {
            open.push(name);
        }
        if name == "style" || name == "script" {
            rest = &rest[rest.find(&format!("</{name}>")).expect("it ends")..];
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

/// Where a start tag ends, and whether it closes itself.
fn tag_end(tag: &str) -> (usize, bool) {
    let mut quoted = false;
    for (i, c) in tag.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '<' if !quoted => panic!("a < inside of the tag {:?}", &tag[..i]),
            '=' if !quoted => {
                assert!(
                    tag[i + 1..].starts_with('"'),
                    "an attribute without quotes: {:?}",
                    &tag[..i]
                );
            }
            '>' if !quoted => return (i, tag[..i].ends_with('/')),
            _ => {}
        }
    }
    panic!("a tag does not end: {:?}", tag.get(..60))
}

/// The ids of a page, each of which may occur once.
fn assert_unique_ids(page: &str) {
    let mut ids: Vec<&str> =
        page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

#[test]
fn a_full_report_is_one_small_well_formed_page_with_every_section() {
    let page = sample().to_html();
    let dir = tempfile::tempdir().expect("a directory for the page");
    let path = dir.path().join("report.html");
    std::fs::write(&path, &page).expect("the page can be written");
    let size = std::fs::metadata(&path).expect("it is there").len();
    assert!(size < 1_000_000, "{size} bytes");
    assert_well_formed(&page);
    assert_unique_ids(&page);
    for heading in [
        "Training loss",
        "Accuracy",
        "Learning rate",
        "Confusion matrix",
        "By class",
        "Most wrong",
        "A sample",
        "First-layer weights",
        "Machine",
        "Configuration",
    ] {
        assert!(page.contains(&format!("<h2>{heading}</h2>")), "{heading} is missing");
    }
    let command =
        "<span>chainrule train</span> <span>--model fully-connected</span> <span>--hidden 200,150<";
    assert!(page.contains(command) && page.contains("54.1%"));
}

#[test]
fn nothing_is_loaded_from_anywhere() {
    let page = sample().to_html();
    for word in
        ["http:", "https:", "//cdn", "@import", "<iframe", "fetch(", "XMLHttp", "localStorage"]
    {
        assert!(!page.contains(word), "{word}");
    }
    let sources = page.split(" src=\"").skip(1).chain(page.split("url(").skip(1));
    let sources = sources.chain(page.split(" href=\"").skip(1));
    assert!(sources.into_iter().all(|address| address.starts_with("data:")));
}

#[test]
fn long_runs_stay_under_a_megabyte() {
    let mut noise = Noise(3);
    let mut report = sample();
    report.loss = (1..=400_000).map(|step| (step, 1.0 + 0.1 * noise.normal())).collect();
    report.learning_rate = (1..=400_000).map(|step| (step, 0.1 / (step as f64))).collect();
    let page = report.to_html();
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    assert_well_formed(&page);
}

#[test]
fn names_cannot_become_markup() {
    let bad = "</script><script>alert('1')</script>\"&\0";
    let word = || bad.to_string();
    let mut report = sample();
    report.title = word();
    report.run = word() + "run";
    report.command = word();
    report.confusion_split = word();
    report.classes = vec![word(); 10];
    report.worst[0].guesses[0].0 = word();
    (report.worst[0].truth, report.sample[0].truth) = (word(), word());
    report.notes = vec![word()];
    for list in [&mut report.headline, &mut report.config, &mut report.machine] {
        list.push((word(), word()));
    }
    if let Some(grid) = &mut report.weights {
        grid.caption = word();
    }
    let page = report.to_html();
    assert_well_formed(&page);
    assert_eq!(page.matches("<script>").count(), 1, "the page's own script and no other");
    assert_eq!(page.matches("</script>").count(), 1);
    assert!(!page.contains("alert('1')") && !page.contains('\0'));
    assert!(
        page.contains("&lt;/script&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&amp;")
    );
}

#[test]
fn values_that_are_not_finite_are_skipped_and_counted() {
    let mut report = sample();
    report.loss[10].1 = f64::NAN;
    report.loss[11].1 = f64::INFINITY;
    report.learning_rate[0].1 = f64::NAN;
    report.accuracy[3].val = f64::NAN;
    let page = report.to_html();
    assert_well_formed(&page);
    assert!(page.contains("2 values that are not finite numbers are left out."));
    assert!(page.contains("One value that is not a finite number is left out."));
    let path_data = page.split(" d=\"").skip(1).filter_map(|rest| rest.split('"').next());
    assert!(path_data.into_iter().all(|d| !d.contains("NaN") && !d.contains("inf")));
    assert!(!page.contains("null"), "the readings hold numbers only");

    report.loss.iter_mut().for_each(|point| point.1 = f64::NAN);
    report.accuracy.iter_mut().for_each(|point| (point.train, point.val) = (f64::NAN, f64::NAN));
    let page = report.to_html();
    assert_well_formed(&page);
    assert!(page.contains("None of its 6,000 values is a finite number."));
    assert!(!page.contains("<h2>Accuracy</h2>"));
}

#[test]
fn sections_without_data_are_left_out() {
    let page = Report { run: "empty-0001".into(), ..Report::default() }.to_html();
    assert_well_formed(&page);
    assert!(page.contains("<h1>empty-0001</h1>"));
    assert!(!page.contains("<section") && !page.contains("<figure") && !page.contains("<dl"));
}

#[test]
fn one_step_and_one_epoch_make_a_page() {
    let report = Report {
        loss: vec![(1, 2.3)],
        learning_rate: vec![(1, 0.0)],
        accuracy: vec![EpochPoint { epoch: 1.0, train: 0.0, val: 0.0 }],
        ..sample()
    };
    let page = report.to_html();
    assert_well_formed(&page);
    assert!(!page.contains("NaN%") && !page.contains("inf%"));
}

#[test]
fn a_report_survives_being_written_as_data() {
    let report = sample();
    let text = serde_json::to_string(&report).expect("plain data");
    let again: Report = serde_json::from_str(&text).expect("the same data");
    assert!(again == report && again.to_html() == report.to_html());
}

#[test]
#[should_panic(expected = "buffer length")]
fn weights_of_the_wrong_size_are_wrong_code() {
    let mut report = sample();
    if let Some(grid) = &mut report.weights {
        grid.rgb.pop();
    }
    report.to_html();
}

/// Writes pages to look at: `CHAINRULE_REPORT_OUT=/tmp/reports cargo test -p chainrule-lab -- --ignored report`.
#[test]
#[ignore = "writes pages for people to look at; CHAINRULE_REPORT_OUT names the directory"]
fn write_samples() {
    let dir =
        std::env::var_os("CHAINRULE_REPORT_OUT").expect("CHAINRULE_REPORT_OUT names a directory");
    let dir = std::path::PathBuf::from(dir);
    std::fs::create_dir_all(&dir).expect("the directory can be made");
    let mut odd = sample();
    odd.loss = (1..=900).map(|s| (s, 30.0 * (-(s as f64) / 110.0).exp() + 2e-3)).collect();
    odd.loss[5].1 = f64::NAN;
    odd.learning_rate = (1..=900).map(|s| (s, 0.1 * 0.1f64.powi((s / 300) as i32))).collect();
    odd.accuracy.truncate(1);
    odd.notes = vec!["Training stopped at step 900: the loss was not a finite number.".into()];
    odd.headline.truncate(4);
    odd.classes = (0..100).map(|k| format!("class number {k}")).collect();
    let near =
        |r: u64, c: u64| if r == c { 6 } else { u64::from((r * 7 + c * 3).is_multiple_of(11)) };
    odd.confusion = (0..100).map(|r| (0..100).map(|c| near(r, c)).collect()).collect();
    for (name, report) in [("sample", sample()), ("odd", odd)] {
        std::fs::write(dir.join(format!("{name}.html")), report.to_html())
            .expect("it can be written");
    }
}
