//! Tests of the application, rule by rule.

mod bank;
mod blocks;
mod common;
mod kv;
mod storage;
