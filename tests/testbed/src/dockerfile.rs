//! The repository's Dockerfile, built for real where no registry is: by buildah, in a chroot, as root.
//! The image that its first stage names is made on the spot, with nothing in it; the machine's own Rust and gcc are
//! mounted where that image has them. What comes out is what `docker build` makes of the same file.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::{machine, product};

/// Where a program and what it needs may be; mounted as far as they are there.
const SYSTEM: [&str; 8] = ["/bin", "/etc", "/lib", "/lib64", "/usr/bin", "/usr/include", "/usr/lib", "/usr/libexec"];
/// Where the official Rust images have theirs.
const RUSTUP: &str = "/usr/local/rustup";
const CARGO: &str = "/usr/local/cargo";

/// Builds it and writes the image as a docker-archive, which `IMAGE_TAR` takes.
///
/// # Errors
/// This is not root, or something does not build.
pub fn build(output: &Path) -> Result<()> {
    ensure!(machine::is_root(), "only root can build the Dockerfile here\nhint: docker build -t k8s-wait-for:dev .");
    machine::prepare_buildah()?;
    product::ensure_static_target()?;
    let output = std::path::absolute(output).context("find the output's folder")?;
    let folder = output.parent().context("the output is a file in a folder")?.join("buildah");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let buildah = Buildah { folder };
    machine::progress("building the Dockerfile");
    buildah.make_base(&base_image()?)?;
    buildah.build()?;
    // buildah adds to an archive that exists.
    let _ = fs::remove_file(&output);
    buildah.run(&[
        "push",
        "--quiet",
        "k8s-wait-for:dev",
        &format!("docker-archive:{}:k8s-wait-for:dev", output.display()),
    ])
}

/// The first image that the Dockerfile names.
fn base_image() -> Result<String> {
    let text = fs::read_to_string(Path::new(product::WORKSPACE).join("Dockerfile")).context("read the Dockerfile")?;
    let image = text.lines().find_map(|line| line.strip_prefix("FROM ")?.split_whitespace().next());
    image.map(str::to_owned).context("the Dockerfile names an image")
}

struct Buildah {
    /// its images, and what the build keeps for the next one
    folder: PathBuf,
}

impl Buildah {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = machine::bound("buildah");
        let place = |name: &str| self.folder.join(name);
        command.arg("--root").arg(place("images")).arg("--runroot").arg(place("run")).args(arguments);
        command.current_dir(product::WORKSPACE).stdin(Stdio::null());
        // The cache mounts of the Dockerfile are in TMPDIR.
        command.envs([("STORAGE_DRIVER", "vfs"), ("BUILDAH_ISOLATION", "chroot")]).env("TMPDIR", &self.folder);
        command
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        self.answer(arguments).map(drop)
    }

    fn answer(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command(arguments).stderr(Stdio::inherit()).output().context("start buildah")?;
        ensure!(output.status.success(), "buildah {} failed", arguments[0]);
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// An image of this name with empty folders to mount in.
    fn make_base(&self, image: &str) -> Result<()> {
        let container = self.answer(&["from", "scratch"])?;
        let root = PathBuf::from(self.answer(&["mount", &container])?);
        for folder in
            mounts()?.iter().map(|(_, inside)| inside.as_str()).chain(["/tmp", "/usr/local/cargo", "/proc", "/dev"])
        {
            let folder = root.join(folder.trim_start_matches('/'));
            fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        }
        let path = format!("PATH={CARGO}/bin:/usr/bin:/bin");
        let homes = [format!("RUSTUP_HOME={RUSTUP}"), format!("CARGO_HOME={CARGO}")];
        self.run(&["config", "--env", &path, "--env", &homes[0], "--env", &homes[1], &container])?;
        self.run(&["commit", "--quiet", "--rm", &container, image])
    }

    fn build(&self) -> Result<()> {
        let mut command = self.command(&["build", "--pull-never", "--layers=false", "--tag", "k8s-wait-for:dev"]);
        for (outside, inside) in mounts()? {
            command.args(["--volume", &format!("{}:{inside}:ro", outside.display())]);
        }
        let status = command.arg(".").stdout(Stdio::null()).status().context("start buildah")?;
        ensure!(status.success(), "the Dockerfile does not build");
        Ok(())
    }
}

/// What of the machine is mounted, and where.
fn mounts() -> Result<Vec<(PathBuf, String)>> {
    let home = env::home_dir().context("HOME is not set")?;
    let of_user = |variable: &str, folder: &str| env::var_os(variable).map_or_else(|| home.join(folder), PathBuf::from);
    let rust = [
        (of_user("RUSTUP_HOME", ".rustup"), RUSTUP.to_owned()),
        (of_user("CARGO_HOME", ".cargo").join("bin"), format!("{CARGO}/bin")),
    ];
    ensure!(rust.iter().all(|(folder, _)| folder.is_dir()), "the Dockerfile wants a Rust that rustup has installed");
    let system = SYSTEM.map(|path| (PathBuf::from(path), path.to_owned()));
    Ok(system.into_iter().filter(|(path, _)| path.is_dir()).chain(rust).collect())
}
