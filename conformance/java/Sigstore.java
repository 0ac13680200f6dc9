import dev.sigstore.AlgorithmRegistry.SigningAlgorithm;
import dev.sigstore.KeylessSigner;
import dev.sigstore.KeylessVerifier;
import dev.sigstore.SigningConfigProvider;
import dev.sigstore.TrustedRootProvider;
import dev.sigstore.VerificationOptions;
import dev.sigstore.VerificationOptions.CertificateMatcher;
import dev.sigstore.bundle.Bundle;
import dev.sigstore.oidc.client.OidcClients;
import dev.sigstore.oidc.client.TokenStringOidcClient;
import dev.sigstore.strings.StringMatcher;
import dev.sigstore.tuf.RootProvider;
import dev.sigstore.tuf.SigstoreTufClient;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * sigstore-java as its users call it: it asks for certificates over gRPC.
 *
 * <pre>
 *   sign   SIGNING_CONFIG TRUSTED_ROOT TOKEN ARTIFACT BUNDLE
 *   verify TRUST ARTIFACT BUNDLE IDENTITY ISSUER
 * </pre>
 *
 * TRUST is the file of a trusted root, or {@code MIRROR,ROOT,CACHE}: a TUF repository.
 */
public final class Sigstore {
  public static void main(String[] arguments) throws Exception {
    switch (arguments[0]) {
      case "sign" -> sign(arguments);
      case "verify" -> verify(arguments);
      default -> throw new IllegalArgumentException(arguments[0]);
    }
  }

  private static void sign(String[] arguments) throws Exception {
    var signer =
        KeylessSigner.builder()
            .signingConfigProvider(SigningConfigProvider.from(Path.of(arguments[1])))
            .trustedRootProvider(TrustedRootProvider.from(Path.of(arguments[2])))
            .signingAlgorithm(SigningAlgorithm.PKIX_ECDSA_P256_SHA_256)
            .minSigningCertificateLifetime(KeylessSigner.DEFAULT_MIN_SIGNING_CERTIFICATE_LIFETIME)
            .forceCredentialProviders(OidcClients.of(TokenStringOidcClient.from(arguments[3])))
            .build();
    try (signer) {
      Bundle bundle = signer.signFile(Path.of(arguments[4]));
      Files.writeString(Path.of(arguments[5]), bundle.toJson());
    }
  }

  private static void verify(String[] arguments) throws Exception {
    var matcher =
        CertificateMatcher.fulcio()
            .subjectAlternativeName(StringMatcher.string(arguments[4]))
            .issuer(StringMatcher.string(arguments[5]))
            .build();
    var options = VerificationOptions.builder().addCertificateMatchers(matcher).build();
    var bundle = Bundle.from(Path.of(arguments[3]), StandardCharsets.UTF_8);
    KeylessVerifier.builder()
        .trustedRootProvider(trust(arguments[1]))
        .build()
        .verify(Path.of(arguments[2]), bundle, options);
  }

  private static TrustedRootProvider trust(String text) {
    String[] parts = text.split(",");
    if (parts.length == 1) {
      return TrustedRootProvider.from(Path.of(text));
    }
    return TrustedRootProvider.from(
        SigstoreTufClient.builder()
            .tufMirror(URI.create(parts[0] + "/"), RootProvider.fromFile(Path.of(parts[1])))
            .tufCacheLocation(Path.of(parts[2])));
  }
}
