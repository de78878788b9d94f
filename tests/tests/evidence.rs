//! A validator that contradicts itself is convicted by files that anyone can check, and a restart forgets none of them.

use std::{fs, time::Duration};

use bytes::Bytes;
use quorate_network::{Class, PeerIndex};
use quorate_tests::{Cluster, DEADLINE, eventually, quorate};
use quorate_types::{
    codec,
    crypto::Hash,
    ids::{BlockId, StateId, ValidatorId},
    message::Message,
    proof::TransactionProof,
    round::{Epoch, Round},
    rpc::EvidenceList,
    vote::{LedgerCommitInfo, QuorumCert, Vote, VoteInfo},
};

/// The validator that the test plays.
const LIAR: usize = 3;

/// A vote for a block that does not exist.
fn vote(cluster: &Cluster, round: Round, block: u8, high_commit_qc: QuorumCert) -> Vote {
    let key = cluster.validator_keys(LIAR).consensus;
    let genesis = cluster.genesis();
    let sender = genesis.committee().unwrap().find(&key.public()).unwrap();
    let vote_info = VoteInfo {
        id: BlockId(Hash([block; 32])),
        round,
        parent_id: BlockId::default(),
        // Not consecutive, so the vote commits nothing.
        parent_round: Round(0),
        exec_state_id: StateId::default(),
    };
    let commit_info =
        LedgerCommitInfo { genesis_hash: genesis.hash(), epoch: Epoch(0), commit_state_id: None, vote_info_hash: vote_info.digest() };
    Vote { vote_info, commit_info, high_commit_qc, sender, signature: key.sign(&commit_info.digest()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_that_votes_twice_is_convicted_by_files_that_anyone_can_check() {
    let mut cluster = Cluster::start(4, &["--accounts", "2"]).await;
    let (alice, bob) = (cluster.key("alice"), cluster.key("bob"));
    let tx = cluster.transfer(&alice, 0, bob.public().address, 1);
    cluster.session(&[0]).submit_and_verify(&tx, DEADLINE).await.unwrap();
    let proof = cluster.client(&[0]).transaction_proof(tx.id()).await.unwrap().proof;
    let proof: TransactionProof = codec::decode(&hex::decode(proof).unwrap(), 1 << 20).unwrap();
    let node = ["--node", cluster.url(0)].map(str::to_owned);
    let home = cluster.validator_home(0).to_owned();
    let genesis = ["--genesis".to_owned(), home.join("config/genesis.json").display().to_string()];
    let evidence = |words: &[&str], options: &[String]| {
        let mut arguments = vec!["evidence"];
        arguments.extend(words);
        arguments.extend(options.iter().map(String::as_str));
        quorate(&arguments)
    };
    let before = evidence(&["list"], &node).ok();
    assert!(before.stdout.contains("no validator has contradicted itself"), "{before:?}");

    cluster.kill(LIAR);
    let liar = cluster.name(LIAR).to_owned();
    let (network, _receivers) = cluster.impersonate(LIAR);
    let me = vote(&cluster, Round(9), 1, proof.commit.qc.clone()).sender;
    let victims: Vec<ValidatorId> = (0..4).map(ValidatorId).filter(|id| *id != me).collect();
    eventually("the votes arrive, and are evidence", || async {
        let round = cluster.client(&[0]).consensus().await.ok()?.round.next();
        for block in [1, 2] {
            let vote = Message::Vote(Box::new(vote(&cluster, round, block, proof.commit.qc.clone())));
            for victim in &victims {
                network.send(PeerIndex(victim.0), Class::Consensus, Bytes::from(codec::encode(&vote)));
            }
        }
        let held = cluster.client(&[0]).evidence_list().await.ok()?;
        (!held.evidence.is_empty()).then_some(())
    })
    .await;
    network.shutdown();

    // The node says so, and its log.
    let json = [node.to_vec(), vec!["-o".into(), "json".into()]].concat();
    let list: EvidenceList = serde_json::from_value(evidence(&["list"], &json).ok().json()).unwrap();
    assert!(list.evidence.iter().all(|view| view.validator == liar), "{list:?}");
    assert!(evidence(&["list"], &node).ok().stdout.contains("two votes"));
    assert!(cluster.log(0).contains("has signed two different votes in one round"));
    let id = list.evidence[0].id.to_string();

    // The next process still has it. The validators go on without the liar.
    assert!(cluster.terminate(0, Duration::from_secs(10)).await.is_some());
    cluster.spawn(0);
    cluster.ready(0).await;
    let tx = cluster.transfer(&alice, 1, bob.public().address, 1);
    cluster.session(&[0]).submit_and_verify(&tx, DEADLINE).await.unwrap();
    let shown = evidence(&["show", &id], &[node.to_vec(), genesis.to_vec()].concat()).ok();
    assert!(shown.stdout.starts_with(&format!("{liar} signed two different votes in round ")), "{shown:?}");
    assert!(shown.stderr.contains("verified"), "{shown:?}");
    let whole = evidence(&["show", &id], &[json, genesis.to_vec()].concat()).ok().stdout;
    let unknown = evidence(&["show", &format!("{:064}", 7)], &[node.to_vec(), genesis.to_vec()].concat());
    assert!(unknown.code == Some(1) && unknown.stderr.contains("this node holds no evidence"), "{unknown:?}");

    // Without any node, from the command's output or from the node's own file.
    cluster.kill_all();
    let file = cluster.home().join("evidence.json");
    fs::write(&file, &whole).unwrap();
    let verify = |file: &std::path::Path| evidence(&["verify", &file.display().to_string()], &genesis);
    let kept = home.join(format!("data/evidence/{id}.json"));
    for file in [&file, &kept] {
        let verified = verify(file).ok();
        assert!(verified.stdout.starts_with(&format!("{liar} signed two different votes")), "{verified:?}");
    }
    // The same votes against another validator, in another round, in another network; and half a file.
    let other = format!("\"culprit\":{}", (me.0 + 1) % 4);
    let accused = whole.replace(&format!("\"culprit\":{}", me.0), &other);
    assert_ne!(accused, whole);
    let (round, network) = (format!("\"round\":{}", list.evidence[0].round), cluster.genesis().hash().0.to_string());
    for (changed, code, reason) in [
        (accused, 7, "it is no evidence on this network"),
        // The committee of a later epoch is learned from a node.
        (whole.replace("\"epoch\":0", "\"epoch\":1"), 3, "no node answered"),
        (whole.replacen(&round, "\"round\":77", 1), 7, "do not contradict each other"),
        (whole.replace(&network, &format!("{:064}", 7)), 7, "another network"),
        (whole[..whole.len() / 2].to_owned(), 1, "holds no evidence"),
    ] {
        fs::write(&file, changed).unwrap();
        let refused = verify(&file);
        assert!(refused.code == Some(code) && refused.stderr.contains(reason), "{refused:?}");
    }
}
