// Verifies a bundle with the released @sigstore/verify.
//
// usage: node verify.cjs TRUSTED_ROOT BUNDLE ISSUER IDENTITY [FILE]
'use strict';
const fs = require('node:fs');
const { bundleFromJSON } = require('@sigstore/bundle');
const { TrustedRoot } = require('@sigstore/protobuf-specs');
const { Verifier, toSignedEntity, toTrustMaterial } = require('@sigstore/verify');

function main([trustedRoot, bundleFile, issuer, identity, file]) {
  const root = TrustedRoot.fromJSON(JSON.parse(fs.readFileSync(trustedRoot, 'utf8')));
  const bundle = bundleFromJSON(JSON.parse(fs.readFileSync(bundleFile, 'utf8')));
  const entity = toSignedEntity(bundle, file ? fs.readFileSync(file) : undefined);
  const exact = identity.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  new Verifier(toTrustMaterial(root)).verify(entity, {
    subjectAlternativeName: `^${exact}$`,
    extensions: { issuer },
  });
  console.log('verified');
}

try {
  main(process.argv.slice(2));
} catch (error) {
  console.error(`${error.code ?? error.name}: ${error.message}`);
  process.exit(1);
}
