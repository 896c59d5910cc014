import ProofKit
import Testing
