//! SLIP-0010 key derivation for ed25519: every step is hardened.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha512;
use zeroize::Zeroizing;

/// The first hardened index.
pub const HARDENED: u32 = 1 << 31;

type HmacSha512 = Hmac<Sha512>;

/// A derived key and its chain code.
struct Node {
    key: Zeroizing<[u8; 32]>,
    chain_code: Zeroizing<[u8; 32]>,
}

/// The ed25519 seed at `path` below `seed`. Every index is hardened here, so 44 means 44'.
#[must_use]
pub fn derive(seed: &[u8], path: &[u32]) -> Zeroizing<[u8; 32]> {
    let mut node = split(b"ed25519 seed", &[seed]);
    for index in path {
        // SLIP-0010, private parent to private child: 0x00 | key | index.
        let index = (index | HARDENED).to_be_bytes();
        node = split(node.chain_code.as_slice(), &[&[0], node.key.as_slice(), &index]);
    }
    node.key
}

fn split(key: &[u8], data: &[&[u8]]) -> Node {
    #[expect(clippy::expect_used, reason = "HMAC accepts keys of any length")]
    let mut mac = HmacSha512::new_from_slice(key).expect("HMAC accepts keys of any length");
    for part in data {
        mac.update(part);
    }
    let bytes = Zeroizing::new(<[u8; 64]>::from(mac.finalize().into_bytes()));
    let mut node = Node { key: Zeroizing::new([0; 32]), chain_code: Zeroizing::new([0; 32]) };
    let (left, right) = bytes.split_at(32);
    node.key.copy_from_slice(left);
    node.chain_code.copy_from_slice(right);
    node
}

#[cfg(test)]
mod tests {
    use quorate_types::crypto::SigningKey;

    use super::*;

    fn check(seed: &str, path: &[u32], private: &str, public: &str) {
        let key = derive(&hex::decode(seed).unwrap(), path);
        assert_eq!(hex::encode(key.as_slice()), private, "{path:?}");
        // The vectors prefix a public key with a zero byte.
        assert_eq!(format!("00{}", hex::encode(SigningKey::from_seed(&key).public().0)), public, "{path:?}");
    }

    #[test]
    fn gives_the_keys_of_the_first_published_ed25519_vector() {
        let seed = "000102030405060708090a0b0c0d0e0f";
        let (private, public) = (
            "2b4be7f19ee27bbf30c667b642d5f4aa69fd169872f8fc3059c08ebae2eb19e7",
            "00a4b2856bfec510abab89753fac1ac0e1112364e7d250545963f135f2a33188ed",
        );
        check(seed, &[], private, public);
        let (private, public) = (
            "68e0fe46dfb67e368c75379acec591dad19df3cde26e63b93a8e704f1dade7a3",
            "008c8a13df77a28f3445213a0f432fde644acaa215fc72dcdf300d5efaa85d350c",
        );
        check(seed, &[0], private, public);
        let (private, public) = (
            "b1d0bad404bf35da785a64ca1ac54b2617211d2777696fbffaf208f746ae84f2",
            "001932a5270f335bed617d5b935c80aedb1a35bd9fc1e31acafd5372c30f5c1187",
        );
        check(seed, &[0, 1], private, public);
        let (private, public) = (
            "92a5b23c0b8a99e37d07df3fb9966917f5d06e02ddbd909c7e184371463e9fc9",
            "00ae98736566d30ed0e9d2f4486a64bc95740d89c7db33f52121f8ea8f76ff0fc1",
        );
        check(seed, &[0, 1, 2], private, public);
        let (private, public) = (
            "30d1dc7e5fc04c31219ab25a27ae00b50f6fd66622f6e9c913253d6511d1e662",
            "008abae2d66361c879b900d204ad2cc4984fa2aa344dd7ddc46007329ac76c429c",
        );
        check(seed, &[0, 1, 2, 2], private, public);
        let (private, public) = (
            "8f94d394a8e8fd6b1bc2f3f49f5c47e385281d5c17e65324b0f62483e37e8793",
            "003c24da049451555d51a7014a37337aa4e12d41e485abccfa46b47dfb2af54b7a",
        );
        check(seed, &[0, 1, 2, 2, 1_000_000_000], private, public);
    }

    #[test]
    fn gives_the_keys_of_the_second_published_ed25519_vector() {
        let seed = "fffcf9f6f3f0edeae7e4e1dedbd8d5d2cfccc9c6c3c0bdbab7b4b1aeaba8a5a29f9c999693908d8a8784817e7b7875726f6c696663605d5a5754514e4b484542";
        let (private, public) = (
            "171cb88b1b3c1db25add599712e36245d75bc65a1a5c9e18d76f9f2b1eab4012",
            "008fe9693f8fa62a4305a140b9764c5ee01e455963744fe18204b4fb948249308a",
        );
        check(seed, &[], private, public);
        let (private, public) = (
            "1559eb2bbec5790b0c65d8693e4d0875b1747f4970ae8b650486ed7470845635",
            "0086fab68dcb57aa196c77c5f264f215a112c22a912c10d123b0d03c3c28ef1037",
        );
        check(seed, &[0], private, public);
        let (private, public) = (
            "ea4f5bfe8694d8bb74b7b59404632fd5968b774ed545e810de9c32a4fb4192f4",
            "005ba3b9ac6e90e83effcd25ac4e58a1365a9e35a3d3ae5eb07b9e4d90bcf7506d",
        );
        check(seed, &[0, 2_147_483_647], private, public);
        let (private, public) = (
            "3757c7577170179c7868353ada796c839135b3d30554bbb74a4b1e4a5a58505c",
            "002e66aa57069c86cc18249aecf5cb5a9cebbfd6fadeab056254763874a9352b45",
        );
        check(seed, &[0, 2_147_483_647, 1], private, public);
        let (private, public) = (
            "5837736c89570de861ebc173b1086da4f505d4adb387c6a1b1342d5e4ac9ec72",
            "00e33c0f7d81d843c572275f287498e8d408654fdf0d1e065b84e2e6f157aab09b",
        );
        check(seed, &[0, 2_147_483_647, 1, 2_147_483_646], private, public);
        let (private, public) = (
            "551d333177df541ad876a60ea71f00447931c0a9da16f227c11ea080d7391b8d",
            "0047150c75db263559a70d5778bf36abbab30fb061ad69f69ece61a72b0cfa4fc0",
        );
        check(seed, &[0, 2_147_483_647, 1, 2_147_483_646, 2], private, public);
    }
}
