module sigkeep.example/conformance/gitsign

go 1.26

require github.com/sigstore/gitsign v0.16.1
