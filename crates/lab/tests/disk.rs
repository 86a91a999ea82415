//! Disks that are full, forbidden, limited and broken, as the system really gives them: a training goes on where it can, says what
//! happened, and harms no checkpoint.

#![cfg(target_os = "linux")]

mod program;

use program::{BIN, begun, chainrule, left, reference, succeeds, text, train};
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A file system of two megabytes; none where we may not mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<SmallDisk> {
        fs::create_dir(at).unwrap();
        let mut mount = Command::new("mount");
        let status = mount
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(at)
            .stderr(Stdio::null())
            .status();
        match status {
            Ok(status) if status.success() => Some(SmallDisk(at.to_path_buf())),
            _ => {
                eprintln!("SKIPPED: a full disk needs the right to mount one");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_costs_checkpoints_but_not_the_training() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&dir.path().join("disk")) else { return };
    let wanted = reference();
    // The weights fit; a checkpoint, with three times as much beside them, does not.
    let large = train(&[("--hidden", "50"), ("--epochs", "4"), ("--checkpoint-every", "epoch")]);
    let output = chainrule(&disk.0, &large).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for part in ["No space left", "the training goes on", "the training is complete"] {
        assert!(said.contains(part), "{said:?}: {part:?}");
    }
    let run = disk.0.join("run");
    assert!(run.join("report.html").exists() && !run.join("last.ckpt").exists());
    assert!(!run.join(".last.ckpt.new").exists(), "the part that was written makes room again");
    fs::remove_dir_all(&run).unwrap();

    // The disk fills up while a training runs: it goes on to the end, cannot leave its results, and says so.
    let mut child = begun(&disk.0, &train(&[("--checkpoint-every", "200")]));
    first_checkpoint(&mut child, &run);
    let filler = disk.0.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while child.try_wait().unwrap().is_none() {
        // Whatever the run gives back is taken at once.
        let _ = file.write_all(&vec![1; 4 << 20]);
        std::thread::sleep(Duration::from_millis(1));
    }
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("No space left") && !said.contains("panicked"), "{said}");
    // What was saved before is whole, and with room again the run comes to the same end.
    drop(file);
    fs::remove_file(&filler).unwrap();
    succeeds(&disk.0, &["train", "--resume", "run"]);
    assert!(left(&run)[..2] == wanted[..2], "something else is left");
}

/// Waits for a run's first checkpoint.
fn first_checkpoint(child: &mut Child, run: &Path) {
    while !run.join("last.ckpt").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its first checkpoint");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The program without the right to write where permissions forbid it, which root has.
fn obedient(directory: &Path, args: &[&str]) -> Option<Command> {
    let probe = directory.join("probe");
    fs::create_dir(&probe).unwrap();
    fs::set_permissions(&probe, Permissions::from_mode(0o555)).unwrap();
    if fs::write(probe.join("file"), "").is_err() {
        return Some(chainrule(directory, args));
    }
    let limits = ["--bounding-set", "-dac_override,-dac_read_search"];
    let mut command = Command::new("setpriv");
    if !command.args(limits).arg("true").status().is_ok_and(|status| status.success()) {
        eprintln!(
            "SKIPPED: a directory that is forbidden needs another user than root, or setpriv"
        );
        return None;
    }
    let mut command = Command::new("setpriv");
    command.args(limits).arg(BIN).args(args).current_dir(directory).stdin(Stdio::null());
    Some(command)
}

#[test]
fn a_directory_that_becomes_read_only_costs_checkpoints_but_not_the_training() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let args = train(&[("--checkpoint-every", "100")]);
    let Some(mut command) = obedient(dir.path(), &args) else { return };
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    first_checkpoint(&mut child, &run);
    fs::set_permissions(&run, Permissions::from_mode(0o555)).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    // It comes to its end, and cannot leave its results.
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in ["Permission denied", "the training goes on", "best.safetensors"] {
        assert!(said.contains(part), "{said:?}: {part:?}");
    }
    assert!(!said.contains("panicked"), "{said}");
    fs::set_permissions(&run, Permissions::from_mode(0o755)).unwrap();
    succeeds(dir.path(), &["train", "--resume", "run"]);
    assert!(left(&run)[..2] == reference()[..2], "something else is left");
}

#[test]
fn on_a_read_only_disk_runs_are_read_and_writing_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&dir.path().join("disk")) else { return };
    succeeds(&disk.0, &train(&[("--epochs", "1")]));
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(&disk.0).status();
    assert!(remounted.unwrap().success(), "what we mounted we may mount again");
    let other = train(&[("--out", "other")]);
    for args in [&other[..], &["train", "--resume", "run"], &["report", "run"]] {
        let output = chainrule(&disk.0, args).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains("Read-only file system") && !said.contains("panicked"), "{said}");
    }
    succeeds(&disk.0, &["eval", "run"]);
    assert!(text(&succeeds(&disk.0, &["runs", "."]).stdout).contains("run"));
}

#[test]
fn a_limit_on_the_size_of_files_costs_checkpoints_but_not_the_training() {
    let dir = tempfile::tempdir().unwrap();
    // The weights fit into a megabyte; a checkpoint, with three times as much beside them, does not.
    let large = train(&[("--hidden", "50"), ("--epochs", "4"), ("--checkpoint-every", "epoch")]);
    let limited = |args: &[&str]| {
        // The shell counts in blocks of 512 bytes.
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -f 2048; exec \"$0\" \"$@\"", BIN]).args(args);
        command.current_dir(dir.path()).stdin(Stdio::null()).output().unwrap()
    };
    let output = limited(&large);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for part in ["File too large", "the training goes on", "the training is complete"] {
        assert!(said.contains(part), "{said:?}: {part:?}");
    }
    let run = dir.path().join("run");
    assert!(run.join("report.html").exists() && !run.join("last.ckpt").exists());
    assert!(!run.join(".last.ckpt.new").exists(), "the part that was written makes room again");
}

#[test]
fn a_disk_that_reports_errors_costs_checkpoints_but_not_the_training() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let mut child = begun(dir.path(), &train(&[("--checkpoint-every", "50")]));
    first_checkpoint(&mut child, &run);
    let kept = fs::read(run.join("last.ckpt")).unwrap();
    // Writing to the first address of one's own memory is an input/output error, each time, without a broken disk.
    let broken = run.join(".last.ckpt.new");
    while child.try_wait().unwrap().is_none() {
        let _ = symlink("/proc/self/mem", &broken);
        std::thread::sleep(Duration::from_micros(100));
    }
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("Input/output error") && said.contains("goes on"), "{said}");
    let _ = fs::remove_file(&broken);
    assert!(left(&run)[..2] == reference()[..2], "something else is left");
    // Whichever attempts got through before the disk broke, what is there is whole.
    assert!(fs::read(run.join("last.ckpt")).unwrap().len() >= kept.len() / 2);
    succeeds(dir.path(), &["train", "--resume", "run"]);
}
