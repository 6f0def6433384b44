//! Who may speak to the API server: its certificate, the key of service account tokens, and one kubeconfig per program.
//! The tokens are no secrets: nobody outside the network namespace can reach the server.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::json;

use crate::enter::{API_ADDRESS, NODE_ADDRESS};

/// The node's only name.
pub const NODE: &str = "node";

/// Who reads the API with which rights. The file name of the kubeconfig is the token, too.
const USERS: [(&str, &str, &str); 4] = [
    ("admin", "admin", "system:masters"),
    ("kube-controller-manager", "system:kube-controller-manager", ""),
    ("kube-scheduler", "system:kube-scheduler", ""),
    ("kubelet", "system:node:node", "system:nodes"),
];

/// The folder that holds them all.
#[derive(Debug, Clone)]
pub struct Credentials(PathBuf);

impl Credentials {
    pub fn make(folder: PathBuf) -> Result<Self> {
        fs::create_dir(&folder).with_context(|| format!("create {}", folder.display()))?;
        let credentials = Self(folder);
        credentials.write_certificates()?;
        credentials.write_service_account_key()?;
        credentials.write_tokens()?;
        for (name, _, _) in USERS {
            credentials.write_kubeconfig(name)?;
        }
        Ok(credentials)
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }

    /// The same for a command line.
    pub fn text(&self, file: &str) -> String {
        self.path(file).display().to_string()
    }

    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        self.path(&format!("{user}.kubeconfig"))
    }

    fn write_certificates(&self) -> Result<()> {
        let ca_key = KeyPair::generate()?;
        let mut ca = named("testbed")?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        self.write("ca.crt", &ca.self_signed(&ca_key)?.pem())?;
        let mut server = named("kube-apiserver")?;
        let names = [
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ];
        let addresses = [API_ADDRESS, NODE_ADDRESS, "10.96.0.2", "127.0.0.1"];
        server.subject_alt_names =
            CertificateParams::new(names.into_iter().chain(addresses).map(str::to_owned).collect::<Vec<_>>())?
                .subject_alt_names;
        let issuer = Issuer::new(ca, ca_key);
        self.write_signed("apiserver", &server, &issuer)?;
        let mut client = named("admin-by-certificate")?;
        client.distinguished_name.push(DnType::OrganizationName, "system:masters");
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.write_signed("client", &client, &issuer)?;
        // Whom nobody knows.
        let key = KeyPair::generate()?;
        self.write("stranger.crt", &named("stranger")?.self_signed(&key)?.pem())?;
        self.write("stranger.key", &key.serialize_pem())
    }

    fn write_signed(&self, name: &str, parameters: &CertificateParams, issuer: &Issuer<KeyPair>) -> Result<()> {
        let key = KeyPair::generate()?;
        self.write(&format!("{name}.crt"), &parameters.signed_by(&key, issuer)?.pem())?;
        self.write(&format!("{name}.key"), &key.serialize_pem())
    }

    fn write_service_account_key(&self) -> Result<()> {
        let key = KeyPair::generate()?;
        self.write("service-account.key", &key.serialize_pem())?;
        self.write("service-account.pub", &key.public_key_pem())
    }

    fn write_tokens(&self) -> Result<()> {
        let lines: Vec<String> =
            USERS.iter().map(|(token, user, group)| format!("{token},{user},{user},\"{group}\"\n")).collect();
        self.write("tokens.csv", &lines.concat())
    }

    fn write_kubeconfig(&self, user: &str) -> Result<()> {
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "testbed", "cluster": {
                "server": format!("https://{API_ADDRESS}:443"),
                "certificate-authority": self.path("ca.crt"),
            }}],
            "users": [{"name": user, "user": {"token": user}}],
            "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": user}}],
            "current-context": "testbed",
        });
        self.write(&format!("{user}.kubeconfig"), &kubeconfig.to_string())
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        write(&self.path(file), text)
    }
}

fn named(name: &str) -> Result<CertificateParams> {
    let mut parameters = CertificateParams::new(Vec::new())?;
    parameters.distinguished_name.push(DnType::CommonName, name);
    Ok(parameters)
}

pub fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}
