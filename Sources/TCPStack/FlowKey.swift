package import TCPWire

/// What names a connection within its stack: the remote endpoint, the local port, and which local address. In 22 octets,
/// aligned to four, so that small entries stay small.
package struct FlowKey: Equatable {
    private var remote0: UInt32
    private var remote1: UInt32
    private var remote2: UInt32
    private var remote3: UInt32
    package var remotePort: UInt16
    package var localPort: UInt16
    /// The index of the local address in the stack's list.
    package var local: UInt16

    package init(remote: IPAddress, remotePort: UInt16, local: UInt16, localPort: UInt16) {
        remote0 = UInt32(truncatingIfNeeded: remote.high &>> 32)
        remote1 = UInt32(truncatingIfNeeded: remote.high)
        remote2 = UInt32(truncatingIfNeeded: remote.low &>> 32)
        remote3 = UInt32(truncatingIfNeeded: remote.low)
        self.remotePort = remotePort
        self.local = local
        self.localPort = localPort
    }

    package var remote: IPAddress {
        IPAddress(high: UInt64(remote0) &<< 32 | UInt64(remote1), low: UInt64(remote2) &<< 32 | UInt64(remote3))
    }

    private var words: (UInt64, UInt64, UInt64) {
        (
            UInt64(remote0) &<< 32 | UInt64(remote1), UInt64(remote2) &<< 32 | UInt64(remote3),
            UInt64(remotePort) &<< 32 | UInt64(localPort) &<< 16 | UInt64(local)
        )
    }

    /// A keyed hash for the table: two folded multiplications, which an outsider without the key cannot steer.
    package func hash(_ secret: StackSecret) -> UInt32 {
        let (a, b, c) = words
        let first = FlowKey.fold(a ^ secret.first, b ^ secret.second)
        let second = FlowKey.fold(first ^ c, secret.first ^ 0x9E37_79B9_7F4A_7C15)
        return UInt32(truncatingIfNeeded: second ^ second &>> 32)
    }

    private static func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }

    /// SipHash-2-4 of the key under the stack's secret: RFC 6528's F, and what else must not be guessed. `salt` tells the
    /// uses apart.
    package func digest(_ secret: StackSecret, salt: UInt64) -> UInt64 {
        var hash = SipHash(secret)
        let (a, b, c) = words
        hash.add(a)
        hash.add(b)
        hash.add(c)
        hash.add(salt)
        return hash.finish(length: 32)
    }
}

/// SipHash-2-4 over whole 64-bit words.
struct SipHash {
    private var v0: UInt64
    private var v1: UInt64
    private var v2: UInt64
    private var v3: UInt64

    init(_ secret: StackSecret) {
        v0 = secret.first ^ 0x736f_6d65_7073_6575
        v1 = secret.second ^ 0x646f_7261_6e64_6f6d
        v2 = secret.first ^ 0x6c79_6765_6e65_7261
        v3 = secret.second ^ 0x7465_6462_7974_6573
    }

    private static func rotate(_ value: UInt64, _ count: UInt64) -> UInt64 {
        value &<< count | value &>> (64 &- count)
    }

    private mutating func round() {
        v0 = v0 &+ v1
        v1 = SipHash.rotate(v1, 13) ^ v0
        v0 = SipHash.rotate(v0, 32)
        v2 = v2 &+ v3
        v3 = SipHash.rotate(v3, 16) ^ v2
        v0 = v0 &+ v3
        v3 = SipHash.rotate(v3, 21) ^ v0
        v2 = v2 &+ v1
        v1 = SipHash.rotate(v1, 17) ^ v2
        v2 = SipHash.rotate(v2, 32)
    }

    mutating func add(_ word: UInt64) {
        v3 ^= word
        round()
        round()
        v0 ^= word
    }

    mutating func finish(length: UInt64) -> UInt64 {
        add(length &<< 56)
        v2 ^= 0xFF
        for _ in 0..<4 { round() }
        return v0 ^ v1 ^ v2 ^ v3
    }
}
