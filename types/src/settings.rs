//! The settings of an application: a part of the genesis that only the application interprets.
//!
//! They are JSON, so that people and programs in any language can read them, and in one canonical form, so that they have one hash: no white
//! space, the names of an object unique and sorted by their bytes, integers only, text escaped as little as JSON allows. Whatever the layout
//! of a file, the canonical text is hashed.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor},
};

/// Settings in their canonical form. The default is `{}`.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings(Arc<str>);

/// Why a value cannot be settings, or why settings do not fit an application.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(String);

impl Settings {
    /// The settings that a value serializes to.
    ///
    /// # Errors
    /// [`SettingsError`]: the value contains something that settings cannot hold, such as a floating-point number.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, SettingsError> {
        let error = |error: serde_json::Error| SettingsError(error.to_string());
        Self::from_json(&serde_json::to_string(value).map_err(error)?)
    }

    /// The settings in a JSON text of any layout.
    ///
    /// # Errors
    /// [`SettingsError`]: not JSON, a duplicate name, or a number that is not an integer.
    pub fn from_json(text: &str) -> Result<Self, SettingsError> {
        serde_json::from_str::<Json>(text).map(|json| json.settings()).map_err(|error| SettingsError(error.to_string()))
    }

    /// Reads them as an application's own type.
    ///
    /// # Errors
    /// [`SettingsError`], which names what does not fit.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, SettingsError> {
        serde_json::from_str(&self.0).map_err(|error| {
            // The position is one in the canonical text, which users never see.
            let text = error.to_string();
            SettingsError(text.rsplit_once(" at line ").map_or(text.clone(), |(what, _)| what.to_owned()))
        })
    }

    /// The canonical text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self("{}".into())
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// In BCS the canonical text, in JSON the JSON itself.
impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serde_json::from_str::<Json>(&self.0).map_err(serde::ser::Error::custom)?.serialize(serializer)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Json::deserialize(deserializer).map(|json| json.settings());
        }
        let text = String::deserialize(deserializer)?;
        match Self::from_json(&text) {
            Ok(settings) if *settings.0 == *text => Ok(settings),
            Ok(_) => Err(D::Error::custom("the settings are not in canonical form")),
            Err(error) => Err(D::Error::custom(error)),
        }
    }
}

/// JSON with sorted objects and without floating-point numbers.
#[derive(Serialize)]
#[serde(untagged)]
enum Json {
    Null,
    Bool(bool),
    Natural(u64),
    Negative(i64),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    fn settings(&self) -> Settings {
        // Text, integers and maps with text for names: serde_json cannot fail on these.
        Settings(serde_json::to_string(self).unwrap_or_default().into())
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON whose numbers are integers between -2^63 and 2^64 (write others as text, in quotes)")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Natural(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(u64::try_from(value).map_or(Json::Negative(value), Json::Natural))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = sequence.next_element()? {
            list.push(element);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut object = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Json>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!("{name:?} occurs twice in one object; keep one")));
            }
            object.insert(name, value);
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    #[test]
    fn however_settings_are_laid_out_they_have_one_text() {
        let text = r#"{"a":[1,-2,null,true],"b":{"":"\u0001\"é"},"z":18446744073709551615}"#;
        let layout = "{ \"z\": 18446744073709551615,\n \"b\": {\"\": \"\\u0001\\\"\\u00e9\"}, \"a\": [1, -2, null, true] }";
        let settings = Settings::from_json(layout).unwrap();
        assert_eq!(settings.text(), text);
        assert_eq!(Settings::from_json(text).unwrap(), settings);
        assert_eq!(serde_json::to_string(&settings).unwrap(), text);
        assert_eq!(codec::decode::<Settings>(&codec::encode(&settings), 1_000), Ok(settings));
        assert_eq!(Settings::from_json("{}").unwrap(), Settings::default());
    }

    #[test]
    fn what_has_no_canonical_form_is_refused() {
        for (text, reason) in [
            (r#"{"a":1,"a":1}"#, "twice"),
            ("1.5", "write others as text"),
            ("-0", "write others as text"),
            ("18446744073709551616", "write others as text"),
            ("[1", "EOF"),
            (&"[".repeat(1_000), "recursion"),
        ] {
            let error = Settings::from_json(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!(codec::decode::<Settings>(&codec::encode("{ }"), 100).is_err());
    }

    #[test]
    fn an_application_reads_its_own_type_and_is_told_what_does_not_fit() {
        #[derive(Debug, PartialEq, Deserialize, Serialize)]
        #[serde(deny_unknown_fields)]
        struct Own {
            limit: u8,
        }
        let settings = Settings::of(&Own { limit: 3 }).unwrap();
        assert_eq!(settings.parse(), Ok(Own { limit: 3 }));
        let error = Settings::from_json(r#"{"limit":3,"colour":1}"#).unwrap().parse::<Own>().unwrap_err().to_string();
        assert_eq!(error, "unknown field `colour`, expected `limit`");
    }
}
