/// The ECN field of an IP header: the two low bits of the traffic class (RFC 3168 §5).
public enum ECNCodepoint: UInt8, Sendable, CaseIterable {
    /// Not-ECT: whoever sent the packet takes no marks.
    case notCapable = 0
    /// ECT(1).
    case capable1 = 1
    /// ECT(0).
    case capable0 = 2
    /// CE: a router says that its queue grows.
    case congestion = 3
}

extension IPHeader {
    /// The ECN field of the traffic class.
    public var codepoint: ECNCodepoint { ECNCodepoint(rawValue: trafficClass & 3) ?? .notCapable }
}
