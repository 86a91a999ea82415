//! Runs a lab cell by cell and stores what each finds.
//!
//! A finished cell lies in `DIR/cells/LAB/CELL.json` with a key: the settings, the library, and the source of the lab. A lab
//! that was stopped, or is run again, takes the cells whose key is still right, up to the first that is missing, and goes on
//! with the random numbers as that one would have found them.

use super::progress::Progress;
use super::{Cell, Found, Lab, SHARED};
use crate::wait::Counter;
use anyhow::Result;
use chainrule::data::files;
use chainrule::data::{
    self, Normalization, Pictures, Request, Splits, cifar10_mean_image, embedded, mean_image,
};
use chainrule::rng::{NumpyRng, Rng, RngState};
use chainrule::{Error, train::write_atomically};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How labs are run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where pictures come from; the embedded excerpt without it.
    pub data: Option<PathBuf>,
    /// Whether long experiments are made shorter.
    pub quick: bool,
    /// Whether stored cells are done again.
    pub again: bool,
    /// Where cells and pages are stored.
    pub out: PathBuf,
}

/// What a cell works with.
pub struct Context<'a> {
    /// NumPy's legacy sequence, where the cells before left it. A cell may start it over.
    pub rng: Rng,
    /// Whether long experiments are to be made shorter.
    pub quick: bool,
    data: Option<&'a Path>,
    splits: Option<Splits>,
    pictures: Option<CoursePictures>,
    /// Where the cell at work may keep what it needs to go on; nowhere in a test.
    workplace: Option<PathBuf>,
    key: String,
    earlier: BTreeMap<&'static str, Found>,
    progress: &'a mut Progress,
}

/// Pictures as the course sees them: bytes less the mean picture.
#[derive(Clone, Debug)]
pub struct CoursePictures {
    /// The bytes.
    pub splits: Splits,
    /// The mean picture that is subtracted.
    pub mean: Vec<f64>,
    /// Training pictures less the mean.
    pub train: Pictures,
    /// Validation pictures less the mean.
    pub val: Pictures,
    /// Test pictures less the mean.
    pub test: Pictures,
}

impl CoursePictures {
    /// Pictures less this mean picture.
    pub fn of(splits: Splits, mean: Vec<f64>) -> CoursePictures {
        let seen =
            |data: &_| Pictures::new(Clone::clone(data), Normalization::MeanImage(mean.clone()));
        let (train, val, test) = (seen(&splits.train), seen(&splits.val), seen(&splits.test));
        CoursePictures { train, val, test, mean, splits }
    }

    /// The first `n` training pictures.
    pub fn small(&self, n: usize) -> Pictures {
        let n = n.min(self.splits.train.len());
        let first = self.splits.train.slice(0..n);
        Pictures::new(first, Normalization::MeanImage(self.mean.clone()))
    }
}

/// The pictures at a path, which must be of CIFAR-10's kind.
fn read(path: &Path) -> Result<Splits> {
    let progress = Counter::new("pictures decoded");
    let request = Request {
        test_all: data::is_published(path)?,
        progress: &|done, all| progress.show(done, all),
        ..Request::default()
    };
    let splits = data::open(path, &request)?;
    let (shape, classes) = (splits.train.shape(), splits.train.classes().len());
    if *shape != [3, 32, 32] || classes != 10 {
        let found = format!("{}: pictures of {shape:?} in {classes} classes", path.display());
        let want = "the experiments are made for [3, 32, 32] in 10 classes, as CIFAR-10 has them";
        return Err(Error::value("--data", found, want).into());
    }
    Ok(splits)
}

impl Context<'_> {
    /// All pictures, read when a cell first asks for them.
    ///
    /// # Errors
    /// If they cannot be read, or are not of CIFAR-10's shape.
    pub fn splits(&mut self) -> Result<Splits> {
        if let Some(splits) = &self.splits {
            return Ok(splits.clone());
        }
        let splits = self.data.map_or_else(|| Ok(embedded()?), read)?;
        Ok(self.splits.insert(splits).clone())
    }

    /// The pictures as the course's first notebooks see them, with the first 1,000 test pictures.
    ///
    /// # Errors
    /// As [`Context::splits`].
    pub fn pictures(&mut self) -> Result<CoursePictures> {
        if let Some(pictures) = &self.pictures {
            return Ok(pictures.clone());
        }
        let mut splits = self.splits()?;
        splits.test = splits.test.slice(0..splits.test.len().min(1000));
        let mean = match self.data {
            None => cifar10_mean_image(),
            Some(_) => mean_image(&splits.train),
        };
        Ok(self.pictures.insert(CoursePictures::of(splits, mean)).clone())
    }

    /// A folder for what the cell at work needs to go on where it was stopped, and a key that such things must have. The folder
    /// goes when the cell is done. `None` where nothing is stored.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn workplace(&self) -> Result<Option<(PathBuf, String)>> {
        let Some(folder) = &self.workplace else { return Ok(None) };
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        Ok(Some((folder.clone(), self.key.clone())))
    }

    /// Whether these are the program's own pictures, whose first 1,000 are the course's first 1,000.
    pub fn is_excerpt(&self) -> bool {
        self.data.is_none()
    }

    /// Starts NumPy's sequence over, as `numpy.random.seed` does.
    pub fn seed(&mut self, seed: u32) {
        self.rng = Rng::numpy(seed);
    }

    /// Normals from the sequence, as many as a tensor needs.
    pub fn randn(&mut self, n: usize) -> Vec<f64> {
        let mut values = vec![0.0; n];
        self.rng.fill_normal(1.0, &mut values);
        values
    }

    /// Numbers that an earlier cell kept; none if it kept none.
    pub fn kept(&self, cell: &str, name: &str) -> &[f64] {
        self.earlier.get(cell).and_then(|found| found.kept(name)).unwrap_or_default()
    }

    /// Says how far the cell is.
    pub fn doing(&mut self, what: &str, done: usize, all: usize) {
        self.progress.part(what, done, all);
    }
}

/// The most bytes of a stored cell.
const MOST_STORED: u64 = 64 << 20;

/// A cell as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    key: String,
    found: Found,
    /// The random numbers after it.
    rng: RngState,
    /// How long it took, in seconds.
    seconds: f64,
}

/// A cell with what it found.
pub struct Done {
    /// The cell.
    pub cell: &'static Cell,
    /// What it found.
    pub found: Found,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// Runs a lab, from the first cell on that is not [`finished`]; returns what its cells found, those found earlier included.
/// `after` sees what there is after each cell.
///
/// # Errors
/// If pictures cannot be read, or a finished cell cannot be stored, and those of `after`.
pub fn run(
    lab: &'static Lab,
    settings: &Settings,
    after: &mut dyn FnMut(&[Done]) -> Result<()>,
) -> Result<Vec<Done>> {
    let folder = folder(lab, settings);
    std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    let key = key(lab, settings);
    let before = stored(lab, settings);
    let taken = before.len();
    let rng = match before.last() {
        Some((_, rng)) => Rng::from_state(rng.clone())?,
        None => Rng::Numpy(NumpyRng::new(lab.seed)),
    };
    let mut done: Vec<Done> = before.into_iter().map(|(done, _)| done).collect();
    let earlier = done.iter().map(|done| (done.cell.name, done.found.clone())).collect();
    let mut progress = Progress::new(lab.cells.len());
    let mut context = Context {
        rng,
        quick: settings.quick,
        data: settings.data.as_deref(),
        splits: None,
        pictures: None,
        workplace: None,
        key: key.clone(),
        earlier,
        progress: &mut progress,
    };
    for (i, cell) in lab.cells.iter().enumerate().skip(taken) {
        let began = std::time::Instant::now();
        let workplace = folder.join(cell.name);
        if settings.again {
            let _ = std::fs::remove_dir_all(&workplace);
        }
        context.workplace = Some(workplace.clone());
        context.progress.begin(i + 1, cell.title, lab.cells.get(i + 1).map(|c| c.title));
        let found = (cell.run)(&mut context)?;
        let held = found.checks().filter(|check| check.passed).count();
        context.progress.end(cell.title, held, found.checks().count());
        let (seconds, rng) = (began.elapsed().as_secs_f64(), context.rng.state());
        let stored = Stored { key: key.clone(), found, rng, seconds };
        write_atomically(&file(&folder, cell), &serde_json::to_vec(&stored)?)?;
        // What is left behind costs room and nothing else: its key tells whether it is of use.
        let _ = std::fs::remove_dir_all(workplace);
        context.earlier.insert(cell.name, stored.found.clone());
        done.push(Done { cell, found: stored.found, seconds });
        after(&done)?;
    }
    Ok(done)
}

/// Runs some cells of a lab on the excerpt and stores nothing. The first of them must be the lab's first, or start its random
/// numbers over.
#[cfg(test)]
pub fn try_cells(lab: &'static Lab, names: &[&str]) -> Result<Vec<Found>> {
    let mut progress = Progress::new(names.len());
    let mut context = Context {
        rng: Rng::numpy(lab.seed),
        quick: true,
        data: None,
        splits: None,
        pictures: None,
        workplace: None,
        key: String::new(),
        earlier: BTreeMap::new(),
        progress: &mut progress,
    };
    let mut all = Vec::new();
    for cell in lab.cells.iter().filter(|cell| names.contains(&cell.name)) {
        let found = (cell.run)(&mut context)?;
        context.earlier.insert(cell.name, found.clone());
        all.push(found);
    }
    Ok(all)
}

/// The cells at the beginning of a lab that are stored and still right, with the random numbers after each; none if all are to be
/// done again.
fn stored(lab: &'static Lab, settings: &Settings) -> Vec<(Done, RngState)> {
    if settings.again {
        return Vec::new();
    }
    let (folder, key) = (folder(lab, settings), key(lab, settings));
    let read = |cell: &'static Cell| {
        let text = files::text(&file(&folder, cell), MOST_STORED, "expected a stored cell").ok()?;
        let stored: Stored = serde_json::from_str(&text).ok()?;
        let done = Done { cell, found: stored.found, seconds: stored.seconds };
        (stored.key == key && done.found.is_sound()).then_some((done, stored.rng))
    };
    lab.cells.iter().map_while(read).collect()
}

/// The cells at the beginning of a lab that are stored and still right.
pub fn finished(lab: &'static Lab, settings: &Settings) -> Vec<Done> {
    stored(lab, settings).into_iter().map(|(done, _)| done).collect()
}

fn folder(lab: &Lab, settings: &Settings) -> PathBuf {
    settings.out.join("cells").join(lab.name)
}

fn file(folder: &Path, cell: &Cell) -> PathBuf {
    folder.join(format!("{}.json", cell.name))
}

/// What a stored cell must have been made with: the settings, the source of the lab and of what all labs use, the library.
fn key(lab: &Lab, settings: &Settings) -> String {
    let mut source = Sha256::new();
    lab.sources.iter().chain(SHARED).for_each(|text| source.update(text));
    let source: String = source.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect();
    let data = settings.data.as_ref().map_or("excerpt".into(), |path| path.display().to_string());
    let Settings { quick, .. } = settings;
    let library = env!("CHAINRULE_SOURCES");
    format!("chainrule {} {library} {source} quick={quick} {data}", env!("CARGO_PKG_VERSION"))
}
