//! EXEC-3: certified results contain only what docs/formats.md lists: ids, codes, numbers and answers. If a sentence slipped in, two builds
//! that word it differently would certify different results, and no run of a single build could show it.

use quorate_types::{
    crypto::{Hash, Tag},
    header::Header,
    merkle,
    receipt::{Outcome, Receipt},
};

use super::{Invariant, Observation};

const LEAF: Tag = Tag::new("quorate/list-leaf");

/// Checker of EXEC-3.
#[derive(Debug, Default)]
pub struct OnlyCodesAndNumbers;

/// A length as ULEB128.
fn length(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = number.to_le_bytes()[0] & 0x7f;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// The bytes of a receipt, encoded independently of the production codec.
fn bytes(receipt: &Receipt) -> Vec<u8> {
    let mut bytes = receipt.tx_id.0.0.to_vec();
    match &receipt.outcome {
        Outcome::Applied(answer) => {
            bytes.push(0);
            bytes.extend(length(answer.len()));
            bytes.extend(answer);
        }
        Outcome::Failed(failure) => {
            bytes.push(1);
            bytes.extend(length(failure.code().len()));
            bytes.extend(failure.code().as_bytes());
            bytes.extend(length(failure.numbers().len()));
            bytes.extend(failure.numbers().iter().flat_map(|number| number.to_le_bytes()));
        }
    }
    bytes
}

fn check(header: &Header, receipts: &[Receipt]) -> Result<(), String> {
    let leaves: Vec<Hash> = receipts.iter().map(|receipt| Hash::of(&LEAF, &bytes(receipt))).collect();
    if header.receipts_root == merkle::root(&leaves) {
        return Ok(());
    }
    Err(format!(
        "height {}: the receipts root covers something other than the ids, codes and numbers of its {} receipts",
        header.height,
        receipts.len()
    ))
}

impl Invariant for OnlyCodesAndNumbers {
    fn id(&self) -> &'static str {
        "EXEC-3"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        let Observation::Committed { blocks, .. } = observation else { return Ok(()) };
        blocks.iter().try_for_each(|(header, receipts)| check(header, receipts))
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::{
        codec,
        failure::Code,
        ids::{StateId, TxId},
    };

    use super::*;
    use crate::invariants::examples;

    #[test]
    fn catches_a_sentence_under_the_root() {
        let receipt = |number: u8, outcome: Outcome| Receipt { tx_id: TxId(Hash([number; 32])), outcome };
        let failed = Outcome::failed(Code::new("insufficient-funds"), &[1, 300]);
        let receipts = [receipt(1, Outcome::Applied(vec![7; 200])), receipt(2, failed)];
        let header = |leaf: fn(&Receipt) -> Hash| Header {
            receipts_root: merkle::root(&receipts.iter().map(leaf).collect::<Vec<_>>()),
            ..examples::header(1, 1, StateId::default())
        };
        check(&header(Receipt::leaf), &receipts).unwrap();
        assert!(check(&header(Receipt::leaf), &receipts[..1]).is_err());
        let with_text = |receipt: &Receipt| {
            let text = if let Outcome::Failed(failure) = &receipt.outcome { failure.to_string() } else { String::new() };
            merkle::leaf(&codec::encode(&(receipt, text)))
        };
        assert!(check(&header(with_text), &receipts).is_err());
    }
}
