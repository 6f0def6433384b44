//! Images without a registry or a builder: a tar of `manifest.json`, a config and one layer, made from static binaries.
//! That is what `docker save` writes and `ctr images import` reads.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::json;
use tar::{Builder, EntryType, Header};

use crate::{machine, programs::sha256};

/// What pods' network namespaces are held by; containerd is told this name.
pub const PAUSE: &str = "docker.io/library/pause:testbed";

/// The product's image, however it was made.
pub const PRODUCT: &str = "docker.io/library/k8s-wait-for:dev";

/// A file of an image.
enum Entry {
    File(Vec<u8>),
    Link(String),
    Folder,
}

struct Image {
    name: &'static str,
    user: &'static str,
    entrypoint: &'static [&'static str],
    command: &'static [&'static str],
    /// Paths without a leading slash, and permissions.
    entries: Vec<(String, u32, Entry)>,
}

/// Writes the images of the node as tars: pause, busybox and the product. `IMAGE_TAR` takes the product's place.
///
/// # Errors
/// A binary cannot be read, or a tar not written.
pub fn write_all(pause: &Path, product: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let pause = pause_image(read(pause)?).write(folder)?;
    let busybox = busybox_image()?.write(folder)?;
    let product = match env::var_os("IMAGE_TAR").filter(|path| !path.is_empty()) {
        Some(path) => PathBuf::from(path),
        None => product_image(read(product)?).write(folder)?,
    };
    Ok(vec![pause, busybox, product])
}

fn pause_image(binary: Vec<u8>) -> Image {
    let entries = vec![("pause".to_owned(), 0o755, Entry::File(binary))];
    Image { name: PAUSE, user: "65535:65535", entrypoint: &["/pause"], command: &[], entries }
}

/// Like the Dockerfile's result: the binary under both of its names, and nothing else.
fn product_image(binary: Vec<u8>) -> Image {
    let entries = vec![
        ("k8s-wait-for".to_owned(), 0o755, Entry::File(binary)),
        ("wait_for.sh".to_owned(), 0o777, Entry::Link("/k8s-wait-for".to_owned())),
    ];
    Image { name: PRODUCT, user: "65532:65532", entrypoint: &["/k8s-wait-for"], command: &[], entries }
}

/// The system's busybox under the name that manifests use: which version it is makes no difference to them.
fn busybox_image() -> Result<Image> {
    let program = machine::find("busybox").context("busybox was there when the machine was prepared")?;
    let applets = Command::new(&program).arg("--list").output().context("start busybox")?;
    let applets = String::from_utf8(applets.stdout).context("busybox lists its applets")?;
    let mut entries = vec![
        ("bin".to_owned(), 0o755, Entry::Folder),
        ("etc".to_owned(), 0o755, Entry::Folder),
        ("root".to_owned(), 0o700, Entry::Folder),
        ("tmp".to_owned(), 0o1777, Entry::Folder),
        (
            "etc/passwd".to_owned(),
            0o644,
            Entry::File(b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n".to_vec()),
        ),
        ("etc/group".to_owned(), 0o644, Entry::File(b"root:x:0:\nnobody:x:65534:\n".to_vec())),
        ("bin/busybox".to_owned(), 0o755, Entry::File(read(&program)?)),
    ];
    let links = applets.lines().filter(|applet| *applet != "busybox");
    entries.extend(links.map(|applet| (format!("bin/{applet}"), 0o777, Entry::Link("busybox".to_owned()))));
    Ok(Image { name: "docker.io/library/busybox:1.37", user: "", entrypoint: &[], command: &["sh"], entries })
}

impl Image {
    fn write(self, folder: &Path) -> Result<PathBuf> {
        let layer = tar(&self.entries)?;
        let config = json!({
            "architecture": if env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" },
            "os": "linux",
            "config": {
                "User": self.user,
                "Entrypoint": self.entrypoint,
                "Cmd": self.command,
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            },
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&layer))]},
        });
        let config = config.to_string().into_bytes();
        let config_name = format!("{}.json", sha256(&config));
        let manifest = json!([{"Config": config_name, "RepoTags": [self.name], "Layers": ["layer.tar"]}]);
        let archive = tar(&[
            ("manifest.json".to_owned(), 0o644, Entry::File(manifest.to_string().into_bytes())),
            (config_name, 0o644, Entry::File(config)),
            ("layer.tar".to_owned(), 0o644, Entry::File(layer)),
        ])?;
        let path = folder.join(format!("{}.tar", sha256(self.name.as_bytes())));
        fs::write(&path, archive).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }
}

/// No times and no owners but root: the same files give the same bytes.
fn tar(entries: &[(String, u32, Entry)]) -> Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for (path, mode, entry) in entries {
        let mut header = Header::new_gnu();
        header.set_mode(*mode);
        let content: &[u8] = if let Entry::File(content) = entry { content } else { &[] };
        header.set_size(content.len().try_into().context("a file's size")?);
        match entry {
            Entry::File(_) => header.set_entry_type(EntryType::Regular),
            Entry::Folder => header.set_entry_type(EntryType::Directory),
            Entry::Link(target) => {
                header.set_entry_type(EntryType::Symlink);
                header.set_link_name(target).with_context(|| format!("link {path}"))?;
            }
        }
        archive.append_data(&mut header, path, content).with_context(|| format!("pack {path}"))?;
    }
    archive.into_inner().context("end the archive")
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("read {}", path.display()))
}
