//! JSON schemas of the types that write themselves as text of their own.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::SchemaType, schema::Type},
};

use crate::{
    crypto::{Hash, PublicKey, Signature},
    settings::Settings,
};

macro_rules! text {
    ($name:ident, $pattern:literal, $description:literal) => {
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new().schema_type(Type::String).pattern(Some($pattern)).description(Some($description)).into()
            }
        }

        impl ToSchema for $name {}
    };
}

text!(Hash, "^0x[0-9a-f]{64}$", "A SHA3-256 digest.");
text!(PublicKey, "^0x[0-9a-f]{64}$", "An Ed25519 public key.");
text!(Signature, "^[0-9a-f]{128}$", "An Ed25519 signature.");

impl PartialSchema for Settings {
    fn schema() -> RefOr<Schema> {
        let description = "The application's settings, in its own format: JSON with integers only.";
        ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(description)).into()
    }
}

impl ToSchema for Settings {}
