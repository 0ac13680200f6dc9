//! Timestamps (RFC 3161): requests, and the tokens that answer them.
//!
//! ```text
//! TimeStampReq ::= SEQUENCE {
//!    version          INTEGER { v1(1) },
//!    messageImprint   SEQUENCE { hashAlgorithm AlgorithmIdentifier, hashedMessage OCTET STRING },
//!    reqPolicy        OBJECT IDENTIFIER OPTIONAL,
//!    nonce            INTEGER OPTIONAL,
//!    certReq          BOOLEAN DEFAULT FALSE,
//!    extensions  [0]  IMPLICIT Extensions OPTIONAL }
//!
//! TimeStampResp ::= SEQUENCE {
//!    status           SEQUENCE { status INTEGER { granted(0) } },
//!    timeStampToken   ContentInfo }   -- SignedData over TSTInfo
//! ```
//!
//! Requests are read strictly: DER, nothing left over, every length bounded. Tokens follow the one
//! profile that openssl, Go, Python and JavaScript verifiers all accept: whole seconds, signed
//! attributes and certificates in DER SET order, `signingCertificateV2` always present, the signer
//! named by issuer and serial number.
//!
//! A token is made in two steps, because the key may be remote: [`Profile::prepare`], sign
//! [`UnsignedToken::signed_attributes`], [`UnsignedToken::finish`].

mod identifiers;
mod request;
mod response;
mod token;

pub(crate) use identifiers::{CONTENT_TYPE, MESSAGE_DIGEST, SIGNED_DATA, TST_INFO, hash_of};
pub use identifiers::{Policy, PolicyError};
pub use request::{MAX_NONCE, Request, RequestError};
pub use response::{ResponseError, Timestamp, verify_response};
pub use token::{Embed, Profile, TokenError, UnsignedToken};
