//! Type `ci-provider`: names and extensions made from a job's claims by templates.

use std::collections::BTreeMap;

use super::extensions::Field;
use super::file::RawProvider;
use super::template::{SyntaxError, Template, Values};
use super::uri::subject_or_email;
use super::{Claims, Extensions, IdentityError, Principal, printed};

/// The templates of one CI provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Templates {
    defaults: BTreeMap<String, String>,
    extensions: Vec<(Field, Template)>,
    subject_alternative_name: Template,
}

impl Templates {
    /// Parses the templates; `None` if there is none for the name.
    pub(crate) fn parse(raw: &RawProvider) -> Result<Option<Self>, SyntaxError> {
        let Some(name) = &raw.subject_alternative_name else {
            return Ok(None);
        };
        let extensions = raw
            .extensions
            .iter()
            .map(|(field, template)| Ok((*field, Template::parse(template)?)))
            .collect::<Result<_, SyntaxError>>()?;
        Ok(Some(Self {
            defaults: raw.defaults.iter().cloned().collect(),
            extensions,
            subject_alternative_name: Template::parse(name)?,
        }))
    }

    pub(crate) fn principal(
        &self,
        issuer: &str,
        claims: &Claims,
    ) -> Result<Principal, IdentityError> {
        let subject = claims.subject()?;
        let scalars = claims.scalars();
        let values = Values {
            defaults: &self.defaults,
            claims: &scalars,
        };
        let name = self.subject_alternative_name.evaluate(values)?;
        let uri = printed::uri(&name).map_err(|error| IdentityError::Uri(name, error))?;
        let mut extensions = Extensions::of_token(issuer, subject);
        for (field, template) in &self.extensions {
            extensions.set(field.number(), template.evaluate(values)?);
        }
        Ok(Principal {
            san: pki::leaf::San::Uri(uri),
            extensions,
            challenges: subject_or_email(subject, claims),
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
        })
    }
}
