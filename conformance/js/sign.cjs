// Signs a file with the released @sigstore/sign as a signing config says; prints the bundle.
//
// usage: node sign.cjs SIGNING_CONFIG TOKEN message|dsse FILE [PAYLOAD_TYPE]
'use strict';
const fs = require('node:fs');
const { bundleToJSON } = require('@sigstore/bundle');
const { SigningConfig } = require('@sigstore/protobuf-specs');
const { bundleBuilderFromSigningConfig } = require('@sigstore/sign');

async function main([configFile, token, form, file, type]) {
  const builder = bundleBuilderFromSigningConfig({
    signingConfig: SigningConfig.fromJSON(JSON.parse(fs.readFileSync(configFile, 'utf8'))),
    identityProvider: { getToken: async () => token },
    bundleType: form === 'dsse' ? 'dsseEnvelope' : 'messageSignature',
  });
  const bundle = await builder.create({ data: fs.readFileSync(file), type });
  process.stdout.write(JSON.stringify(bundleToJSON(bundle)));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message, error.cause ?? '');
  process.exit(1);
});
