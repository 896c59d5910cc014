/// A function that takes any octets and traps only when swift-tcp breaks one of its rules.
public enum FuzzTarget: String, CaseIterable, Sendable {
    /// IPv4 and IPv6 headers with options and extension headers.
    case ip
    /// TCP headers and options.
    case segment
    /// ICMP and ICMPv6 messages.
    case icmp
    /// The Internet checksum.
    case checksum
    /// Addresses and prefixes as text.
    case addresses
    /// Capture files.
    case pcap
    /// Packet scripts.
    case script
    /// One stack with connections in every state, a hostile peer, and a program that calls at any time.
    case stack
    /// Two stacks joined by a wire that loses, copies, delays and changes packets.
    case wire

    /// The longest input worth making, in octets.
    public var maximumLength: Int {
        switch self {
        case .ip, .segment, .addresses: 192
        case .icmp, .checksum: 256
        case .pcap, .script, .stack, .wire: 512
        }
    }

    /// Runs the target on an input.
    public func run(_ input: RawSpan) {
        switch self {
        case .ip: fuzzIP(input)
        case .segment: fuzzSegment(input)
        case .icmp: fuzzICMP(input)
        case .checksum: fuzzChecksum(input)
        case .addresses: fuzzAddresses(input)
        case .pcap: fuzzPcap(input)
        case .script: fuzzScript(input)
        case .stack: fuzzStack(input)
        case .wire: fuzzWire(input)
        }
    }
}
