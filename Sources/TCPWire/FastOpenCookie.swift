/// The value of a Fast Open option, kind 34 (RFC 7413 §4.1.1): a cookie of 4 to 16 octets, an even number of them, or none,
/// which asks for a cookie.
public struct FastOpenCookie: Hashable, Sendable {
    /// The first eight octets, the first of them highest; those past `count` are zero.
    private var high: UInt64 = 0
    /// The others.
    private var low: UInt64 = 0
    /// Octets of the cookie: 0, or 4...16.
    public let count: Int

    /// Asks for a cookie.
    public static let request = FastOpenCookie()

    private init() { count = 0 }

    /// A cookie of eight octets, the highest of `value` first.
    public init(_ value: UInt64) {
        high = value
        count = 8
    }

    /// The cookie in `octets`; `nil` when no cookie has as many.
    public init?(_ octets: RawSpan) {
        let count = octets.byteCount
        guard count == 0 || (4...16).contains(count) && count & 1 == 0 else { return nil }
        self.count = count
        for index in 0..<min(count, 8) { high |= UInt64(octets.u8(index)) &<< UInt64(56 &- 8 &* index) }
        for index in 8..<max(count, 8) { low |= UInt64(octets.u8(index)) &<< UInt64(120 &- 8 &* index) }
    }

    /// Whether it asks for a cookie.
    public var isRequest: Bool { count == 0 }

    /// One of the octets, 0..<`count`.
    public subscript(index: Int) -> UInt8 {
        let half = index < 8 ? high : low
        return UInt8(truncatingIfNeeded: half &>> UInt64(56 &- 8 &* (index & 7)))
    }

    /// Octets of the option, padded to a multiple of four: 4...20.
    var encodedLength: Int { (count &+ 5) & ~3 }

    /// Writes the option at `offset`, with NOPs behind it up to `encodedLength`.
    func write(to packet: inout MutableRawSpan, at offset: Int) {
        packet.put8(34, at: offset)
        packet.put8(UInt8(count &+ 2), at: offset &+ 1)
        for index in 0..<count { packet.put8(self[index], at: offset &+ 2 &+ index) }
        for index in count &+ 2..<max(encodedLength, count &+ 2) { packet.put8(1, at: offset &+ index) }
    }
}
