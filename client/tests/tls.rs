//! https: the client trusts exactly the certificates that the user passes.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, path::PathBuf, sync::Arc};

use quorate_client::{Client, ClientError};
use quorate_types::{ids::TxId, rpc::TransactionStatus};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// A server with a certificate for `127.0.0.1` from a CA of its own. Returns the port and the file of the CA certificate.
async fn serve(directory: &tempfile::TempDir) -> (u16, PathBuf) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = authority.self_signed(&authority_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap().signed_by(&key, &authority, &authority_key).unwrap();
    let file = directory.path().join("ca.pem");
    fs::write(&file, authority.pem()).unwrap();

    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(socket).await else { continue };
            let mut request = [0; 4_096];
            let _read = stream.read(&mut request).await;
            let body = r#"{"status":"pending"}"#;
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (port, file)
}

#[tokio::test]
async fn a_node_behind_tls_is_asked_when_its_authority_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let (port, authority) = serve(&directory).await;
    let client = Client::with_ca_file(&[format!("https://127.0.0.1:{port}")], Some(&authority)).unwrap();
    assert_eq!(client.transaction(TxId::default()).await.unwrap(), TransactionStatus::Pending);
}

#[tokio::test]
async fn a_certificate_of_somebody_else_or_for_somebody_else_is_refused_before_anything_is_sent() {
    let directory = tempfile::tempdir().unwrap();
    let (port, authority) = serve(&directory).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let (_, other) = serve(&elsewhere).await;
    for (host, file) in [("127.0.0.1", &other), ("localhost", &authority)] {
        let client = Client::with_ca_file(&[format!("https://{host}:{port}")], Some(file)).unwrap();
        let error = client.transaction(TxId::default()).await.unwrap_err();
        assert!(matches!(&error, ClientError::Unreachable { tried } if tried.contains("certificate")), "{host}: {error}");
    }
}

#[test]
fn a_file_without_certificates_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    fs::write(&file, "no certificate").unwrap();
    for file in [file, directory.path().join("missing")] {
        let error = Client::with_ca_file(&["https://127.0.0.1:1"], Some(&file)).unwrap_err();
        assert!(matches!(&error, ClientError::Tls(reason) if reason.contains(file.to_str().unwrap())), "{error}");
    }
}
