import TCPEngine
import TCPWire

/// How many half-open entries each source holds, an IPv4 address or an IPv6 /64, at one port and in all, and how many
/// connections by Fast Open that have not shaken hands, without a list of sources: a keyed hash chooses one of 512 counts, so
/// that asking costs the same however many there are. Sources that share a count share what one may hold; which ones do
/// cannot be steered from outside.
struct SourceCounts {
    private var counts: InlineArray<512, UInt32> = .init(repeating: 0)

    /// `port` is zero for the count over all ports; those that came by Fast Open have a count of their own at each.
    private static func index(
        _ key: FlowKey, _ secret: StackSecret, _ port: UInt16, _ isFastOpen: Bool = false
    ) -> Int {
        var hash = SipHash(secret)
        let address = key.remote
        // RFC 4291 §2.5.4: whoever has one address of a /64 has all of them.
        hash.add(address.isIPv4 ? address.low : address.high)
        hash.add(UInt64(port) &<< 8 | (isFastOpen ? 16 : 0) | (address.isIPv4 ? 4 : 6))
        return Int(hash.finish(length: 16) & 511)
    }

    /// Entries of the source of `key` at that port, in all when it is zero, and of those that share its count.
    func count(_ key: FlowKey, _ secret: StackSecret, port: UInt16, isFastOpen: Bool = false) -> Int {
        Int(counts[SourceCounts.index(key, secret, port, isFastOpen)])
    }

    mutating func add(_ key: FlowKey, _ secret: StackSecret, isFastOpen: Bool = false) {
        counts[SourceCounts.index(key, secret, 0)] &+= 1
        counts[SourceCounts.index(key, secret, key.localPort, isFastOpen)] &+= 1
    }

    mutating func remove(_ key: FlowKey, _ secret: StackSecret, isFastOpen: Bool = false) {
        counts[SourceCounts.index(key, secret, 0)] &-= 1
        counts[SourceCounts.index(key, secret, key.localPort, isFastOpen)] &-= 1
    }

    /// Twice the entries of all sources.
    var total: Int {
        var sum = 0
        for index in counts.indices { sum &+= Int(counts[index]) }
        return sum
    }
}
