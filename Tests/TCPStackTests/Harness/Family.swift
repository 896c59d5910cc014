import TCPWire
import Testing

/// The two address families every test of the suite runs over.
enum Family: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case ipv4 = "IPv4"
    case ipv6 = "IPv6"

    var testDescription: String { rawValue }

    /// The address of the stack under test.
    var stackAddress: IPAddress { address(1) }

    /// The address of the peer a test plays by hand.
    var peerAddress: IPAddress { address(2) }

    /// The `number`-th host of the link: 10.0.0.`number` or fd00::`number`.
    func address(_ number: Int) -> IPAddress {
        switch self {
        case .ipv4: IPAddress(ipv4: 0x0A00_0000 | UInt32(number))
        case .ipv6: IPAddress(high: 0xFD00_0000_0000_0000, low: UInt64(number))
        }
    }

    /// The prefix length of the link.
    var prefixLength: Int { self == .ipv4 ? 16 : 64 }

    /// The MSS a peer has that names none: RFC 9293 MUST-15.
    var defaultMSS: Int { self == .ipv4 ? 536 : 1220 }

    /// Octets of the IP and TCP headers without options.
    var fixedHeaders: Int { self == .ipv4 ? 40 : 60 }
}
