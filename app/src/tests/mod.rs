//! Tests of the rules that every application shares.

mod blocks;
mod common;
mod governance;
mod permissions;
