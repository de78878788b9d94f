//! Account keys from English BIP-39 mnemonics, derived along `m/44'/7434868'/{index}'/0'/0'`.

use bip39::{Language, Mnemonic};
use clap::ValueEnum;
use zeroize::{Zeroize, Zeroizing};

use crate::{
    error::KeyError,
    slip10::{self, HARDENED},
};

/// BIP-44 coin type, which keeps one mnemonic from giving the same key on two chains: `qrt` in ASCII. SLIP-0044 assigns numbers in sequence
/// and is far below it; as of 2026-08-07 it was unregistered.
pub const COIN_TYPE: u32 = 0x0071_7274;

/// Number of words in a new mnemonic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Words {
    /// 128 bits of randomness.
    #[value(name = "12")]
    Twelve,
    /// 256 bits of randomness.
    #[default]
    #[value(name = "24")]
    TwentyFour,
}

/// A new mnemonic from system randomness.
///
/// # Errors
/// [`KeyError::Randomness`].
pub fn generate(words: Words) -> Result<Zeroizing<String>, KeyError> {
    let mut entropy = Zeroizing::new([0; 32]);
    getrandom::fill(entropy.as_mut_slice()).map_err(KeyError::Randomness)?;
    let len = match words {
        Words::Twelve => 16,
        Words::TwentyFour => 32,
    };
    let mnemonic = Mnemonic::from_entropy(entropy.get(..len).unwrap_or(entropy.as_slice())).map_err(refused)?;
    Ok(text(mnemonic))
}

/// The ed25519 seed of account `index` of a mnemonic. Case and white space in the mnemonic do not matter.
///
/// # Errors
/// [`KeyError::Mnemonic`], [`KeyError::Index`].
pub fn derive(mnemonic: &str, passphrase: &str, index: u32) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    if index >= HARDENED {
        return Err(KeyError::Index(index));
    }
    let normal = Zeroizing::new(mnemonic.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" "));
    let mut mnemonic = Mnemonic::parse_in_normalized(Language::English, &normal).map_err(refused)?;
    let seed = Zeroizing::new(mnemonic.to_seed(passphrase));
    mnemonic.zeroize();
    Ok(slip10::derive(seed.as_slice(), &[44, COIN_TYPE, index, 0, 0]))
}

fn text(mut mnemonic: Mnemonic) -> Zeroizing<String> {
    let text = Zeroizing::new(mnemonic.to_string());
    mnemonic.zeroize();
    text
}

fn refused(error: bip39::Error) -> KeyError {
    KeyError::Mnemonic(match error {
        // The position only: the words are secret and must not end up in a log.
        bip39::Error::UnknownWord(position) => format!("word {} is not in the word list", position.saturating_add(1)),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first and last 24-word vectors of the reference implementation (Trezor), passphrase "TREZOR".
    #[test]
    fn gives_the_seeds_of_the_published_bip39_vectors() {
        let cases = [
            (
                "00".repeat(32),
                "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon art",
                "bda85446c68413707090a52022edd26a1c9462295029f2e60cd7c4f2bbd3097170af7a4d73245cafa9c3cca8d561a7c3de6f5d4a10be8ed2a5e608d68f92fcc8",
            ),
            (
                "f585c11aec520db57dd353c69554b21a89b20fb0650966fa0a9d6f74fd989d8f".into(),
                "void come effort suffer camp survey warrior heavy shoot primary clutch crush open amazing screen patrol group space point ten exist slush involve unfold",
                "01f5bced59dec48e362f2c45b5de68b9fd6c92c6634f44d6d40aab69056506f0e35524a518034ddc1192e1dacd32c1ed3eaa3c3b131c88ed8e7e54c49a5d0998",
            ),
        ];
        for (entropy, words, seed) in cases {
            let mnemonic = Mnemonic::from_entropy(&hex::decode(entropy).unwrap()).unwrap();
            assert_eq!(mnemonic.to_string(), words);
            assert_eq!(hex::encode(mnemonic.to_seed("TREZOR")), seed);
        }
    }

    #[test]
    fn derives_along_the_documented_path() {
        let words = format!("{}about", "abandon ".repeat(11));
        let seed = bip39::Mnemonic::parse_normalized(&words).unwrap().to_seed("");
        for index in [0, 1, 7] {
            assert_eq!(derive(&words, "", index).unwrap(), slip10::derive(&seed, &[44, 7_434_868, index, 0, 0]));
        }
        assert_ne!(derive(&words, "", 0).unwrap(), derive(&words, "", 1).unwrap());
        assert_eq!(derive(&format!("  {}\n", words.to_uppercase()), "", 0).unwrap(), derive(&words, "", 0).unwrap());
    }

    #[test]
    fn a_new_mnemonic_has_as_many_words_as_asked_for_and_reads_back() {
        for (words, count) in [(Words::Twelve, 12), (Words::TwentyFour, 24)] {
            let mnemonic = generate(words).unwrap();
            assert_eq!(mnemonic.split(' ').count(), count);
            assert!(derive(&mnemonic, "", 0).is_ok());
            assert_ne!(generate(words).unwrap(), mnemonic);
        }
    }

    #[test]
    fn a_wrong_word_is_named_by_its_position_and_a_wrong_checksum_is_noticed() {
        let unknown = format!("abandon qwerty {}about", "abandon ".repeat(9));
        let error = derive(&unknown, "", 0).unwrap_err().to_string();
        assert!(error.contains("word 2") && !error.contains("qwerty"), "{error}");
        assert!(derive(&format!("{}abandon", "abandon ".repeat(11)), "", 0).is_err());
        assert!(derive("abandon about", "", 0).is_err());
        assert!(matches!(derive(&format!("{}about", "abandon ".repeat(11)), "", HARDENED), Err(KeyError::Index(_))));
    }
}
