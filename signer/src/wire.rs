//! What goes over the socket: a length, u32 little-endian, and that many bytes of BCS. The node asks and the signer answers, one at a time.
//!
//! | Question | Answer |
//! |---|---|
//! | `Hello`: version u8, genesis 32; first of all | `Welcome`: key 32; or `OtherVersion`: the signer's version u8, or `Refused` |
//! | `Sign`: a statement ([`quorate_types::signing::Unsigned`]) | `Signed`: signature 64; or `Refused`: a reason |

use std::io::{self, Read, Write};

use quorate_consensus::keeper::Refusal;
use quorate_types::{
    codec,
    crypto::{PublicKey, Signature},
    ids::GenesisHash,
    signing::Unsigned,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Version of these messages.
pub(crate) const VERSION: u8 = 1;
/// Longest message, in bytes; the longest there is has some 300.
const FRAME_BYTES_MAX: u32 = 1_024;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Question {
    Hello { version: u8, genesis_hash: GenesisHash },
    Sign(Unsigned),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Welcome(PublicKey),
    OtherVersion(u8),
    Signed(Signature),
    Refused(Refusal),
}

pub(crate) fn write<T: Serialize>(stream: &mut impl Write, message: &T) -> io::Result<()> {
    let body = codec::encode(message);
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut frame = length.to_le_bytes().to_vec();
    frame.extend(body);
    stream.write_all(&frame)
}

/// Reads one message; `None` at the end of the stream.
pub(crate) fn read<T: DeserializeOwned>(stream: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    // The end is only here no error; within a message it is one.
    match stream.read(&mut length[..1])? {
        0 => return Ok(None),
        _ => stream.read_exact(&mut length[1..])?,
    }
    let length = u32::from_le_bytes(length);
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a message of {length} bytes, at most {FRAME_BYTES_MAX} are allowed"),
        ));
    }
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body)?;
    codec::decode(&body, FRAME_BYTES_MAX as usize).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}
