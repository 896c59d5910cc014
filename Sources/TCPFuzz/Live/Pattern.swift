import Glibc
import TCPWire

/// The octet every stream has at a sequence number, so that what is sent, kept and read can be checked without a copy.
/// It repeats after 2¹⁶ octets, as the numbers do after 2³²; slices are copied and compared whole, which is fast under a
/// fuzzer that watches every comparison.
enum Pattern {
    private static let period = 1 << 16

    private static let table: [UInt8] = {
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        var bytes: [UInt8] = []
        for _ in 0..<period {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            bytes.append(UInt8(truncatingIfNeeded: state >> 56))
        }
        return bytes + bytes
    }()

    /// `count` octets from `sequence` on, at most 65,536.
    static func bytes(from sequence: SequenceNumber, count: Int) -> [UInt8] {
        let start = Int(sequence.rawValue) % period
        return Array(table[start..<start + count])
    }

    /// Whether `range` of `bytes` is the pattern at `sequence`.
    static func matches(_ bytes: [UInt8], _ range: Range<Int>, at sequence: SequenceNumber) -> Bool {
        let start = Int(sequence.rawValue) % period
        guard !range.isEmpty else { return true }
        return bytes[range].withUnsafeBytes { left in
            table[start..<start + range.count].withUnsafeBytes { right in
                memcmp(left.baseAddress!, right.baseAddress!, range.count) == 0
            }
        }
    }
}
