/// The control bits of a TCP header (RFC 9293 §3.1; AE from RFC 9768, CWR and ECE from RFC 3168).
public struct TCPFlags: OptionSet, Hashable, Sendable {
    /// The bits as on the wire: FIN is 1, AE is 256.
    public var rawValue: UInt16

    /// Makes flags from their wire bits.
    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// No more data from the sender.
    public static let fin = TCPFlags(rawValue: 1)
    /// Synchronize sequence numbers.
    public static let syn = TCPFlags(rawValue: 2)
    /// Reset the connection.
    public static let rst = TCPFlags(rawValue: 4)
    /// Push.
    public static let psh = TCPFlags(rawValue: 8)
    /// The acknowledgment field is significant.
    public static let ack = TCPFlags(rawValue: 16)
    /// The urgent pointer is significant.
    public static let urg = TCPFlags(rawValue: 32)
    /// ECN echo.
    public static let ece = TCPFlags(rawValue: 64)
    /// Congestion window reduced.
    public static let cwr = TCPFlags(rawValue: 128)
    /// Accurate ECN.
    public static let ae = TCPFlags(rawValue: 256)

    /// The names of the six classic bits that are set, in the order SYN, FIN, RST, PSH, URG, ACK.
    public var names: [String] {
        var names: [String] = []
        if contains(.syn) { names.append("SYN") }
        if contains(.fin) { names.append("FIN") }
        if contains(.rst) { names.append("RST") }
        if contains(.psh) { names.append("PSH") }
        if contains(.urg) { names.append("URG") }
        if contains(.ack) { names.append("ACK") }
        return names
    }
}
