public import TCPWire

/// A packet as a script writes it: to be made and sent in, or to be compared with what came out.
public struct PacketPattern: Equatable, Sendable {
    /// Where `<` or `>` stands.
    public var position: SourcePosition
    /// Which way it goes.
    public var direction: Direction
    /// What is said of the IP header.
    public var network: NetworkPattern
    /// Headers written out in front of the transport's, as in `ipv4 10.0.0.1 > 10.0.0.2:`; the outermost first.
    public var headers: [HeaderPattern]
    /// The transport.
    public var transport: Transport

    /// Into the stack, or out of it.
    public enum Direction: String, Equatable, Sendable {
        /// `<`: the runner sends it to the stack.
        case inbound = "<"
        /// `>`: the stack must send it.
        case outbound = ">"
    }

    /// What the packet carries.
    public enum Transport: Equatable, Sendable {
        /// A TCP segment.
        case tcp(SegmentPattern)
        /// A UDP datagram.
        case udp(DatagramPattern)
        /// An ICMP or ICMPv6 message.
        case icmp(ICMPPattern)
    }

    /// Makes a pattern.
    public init(
        position: SourcePosition, direction: Direction, network: NetworkPattern = NetworkPattern(),
        headers: [HeaderPattern] = [], transport: Transport
    ) {
        self.position = position
        self.direction = direction
        self.network = network
        self.headers = headers
        self.transport = transport
    }
}

/// What the square brackets in front of a packet say of its IP header; what is `nil` is not looked at.
public struct NetworkPattern: Equatable, Sendable {
    /// The ECN field.
    public var ecn: ECN?
    /// The type of service octet, or traffic class.
    public var trafficClass: UInt8?
    /// The time to live, or hop limit.
    public var hopLimit: UInt8?
    /// IPv6's flow label, 20 bits.
    public var flowLabel: UInt32?
    /// IPv4's "do not fragment" bit.
    public var dontFragment: Bool?

    /// The words for the two ECN bits (RFC 3168 §5).
    public enum ECN: String, CaseIterable, Equatable, Sendable {
        /// Not ECN-capable: 00.
        case notCapable = "noecn"
        /// ECT(1): 01.
        case capable1 = "ect1"
        /// ECT(0): 10.
        case capable0 = "ect0"
        /// ECT(0) or ECT(1).
        case capable = "ect01"
        /// Congestion experienced: 11.
        case congestion = "ce"
    }

    /// Nothing is said.
    public init() {}

    /// Whether nothing is said.
    public var isEmpty: Bool { self == NetworkPattern() }
}

/// A header written out in front of a packet.
public enum HeaderPattern: Equatable, Sendable {
    /// `ipv4 a > b:` or `ipv6 a > b:`.
    case ip(source: IPAddress, destination: IPAddress)
    /// `gre:` with its optional words.
    case gre([String])
    /// `mpls …:` with its words.
    case mpls([String])
}

/// A TCP segment as a script writes it.
public struct SegmentPattern: Equatable, Sendable {
    /// The ports, where the script names them.
    public var ports: Ports?
    /// The control bits; the three ECN bits count only for `ace == nil`.
    public var flags: TCPFlags
    /// The count in the three bits AE, CWR, ECE (RFC 9768 §3.2.1), when the script writes a digit among the flags.
    public var ace: UInt8?
    /// The sequence number of the first octet, counted from the script's own initial one; `nil` when none is written.
    public var start: UInt32?
    /// The number behind the colon.
    public var end: UInt32?
    /// Octets of data.
    public var length: Int
    /// The acknowledgment number, counted from the other end's initial one.
    public var acknowledgment: UInt32?
    /// The window field as on the wire; `nil`: whatever is fit going in, anything coming out.
    public var window: UInt16?
    /// The urgent pointer.
    public var urgent: UInt16?
    /// The options.
    public var options: OptionsPattern

    /// Two ports.
    public struct Ports: Hashable, Sendable {
        /// Where it comes from.
        public var source: UInt16
        /// Where it goes.
        public var destination: UInt16

        /// Makes a pair.
        public init(source: UInt16, destination: UInt16) {
            self.source = source
            self.destination = destination
        }
    }

    /// Makes a pattern.
    public init(
        ports: Ports? = nil, flags: TCPFlags, ace: UInt8? = nil, start: UInt32? = nil, end: UInt32? = nil,
        length: Int = 0, acknowledgment: UInt32? = nil, window: UInt16? = nil, urgent: UInt16? = nil,
        options: OptionsPattern = .list([])
    ) {
        self.ports = ports
        self.flags = flags
        self.ace = ace
        self.start = start
        self.end = end
        self.length = length
        self.acknowledgment = acknowledgment
        self.window = window
        self.urgent = urgent
        self.options = options
    }
}

/// What is said of a segment's options.
public enum OptionsPattern: Equatable, Sendable {
    /// `<...>`: anything.
    case any
    /// Exactly these, in this order.
    case list([OptionPattern])
}

/// One TCP option as a script writes it.
public enum OptionPattern: Hashable, Sendable {
    /// End of the list, kind 0.
    case end
    /// No operation, kind 1.
    case noOperation
    /// Maximum segment size, kind 2.
    case maximumSegmentSize(UInt16)
    /// Window scale, kind 3.
    case windowScale(UInt8)
    /// SACK permitted, kind 4.
    case sackPermitted
    /// SACK, kind 5. Blocks in an outgoing segment count from the peer's initial sequence number, in an incoming one from
    /// the stack's.
    case sack([Block])
    /// Timestamps, kind 8; `nil` is anything.
    case timestamps(value: UInt32?, echo: UInt32?)
    /// Fast Open, kind 34: an empty cookie asks for one; `nil` is a cookie of the stack's, whatever it is.
    case fastOpen([UInt8]?)
    /// Fast Open in its experimental form, kind 254 with 0xF989.
    case experimentalFastOpen([UInt8]?)
    /// MD5 signature, kind 19.
    case md5([UInt8])
    /// AccECN, kind 172 or 174: the counters in their order on the wire (RFC 9768 §3.2.3).
    case accurateECN(kind: UInt8, counters: [UInt32])
    /// Any other kind: its number and the octets behind the length.
    case other(kind: UInt8, [UInt8])

    /// A SACK block.
    public struct Block: Hashable, Sendable {
        /// The first octet.
        public var start: UInt32
        /// The octet behind the last.
        public var end: UInt32

        /// Makes a block.
        public init(start: UInt32, end: UInt32) {
            self.start = start
            self.end = end
        }
    }
}

/// A UDP datagram as a script writes it.
public struct DatagramPattern: Equatable, Sendable {
    /// The ports, where the script names them.
    public var ports: SegmentPattern.Ports?
    /// Octets of data.
    public var length: Int

    /// Makes a pattern.
    public init(ports: SegmentPattern.Ports? = nil, length: Int) {
        self.ports = ports
        self.length = length
    }
}

/// An ICMP message as a script writes it.
public struct ICMPPattern: Equatable, Sendable {
    /// The type's word, as `unreachable` or `type_3`.
    public var type: String
    /// The code's word, as `port_unreachable` or `code_3`.
    public var code: String?
    /// The next hop's MTU.
    public var mtu: UInt32?
    /// The segment it quotes.
    public var quotation: Quotation?
    /// Whether the quotation stands before the word `icmp`, as one of the two dialects has it.
    public var quotesFirst: Bool

    /// What an ICMP error quotes.
    public enum Quotation: Equatable, Sendable {
        /// A segment by its sequence numbers: `[1:1461(1460)]`.
        case segment(start: UInt32, end: UInt32, length: Int)
        /// A datagram: `[udp (100)]`.
        case datagram(length: Int)
    }

    /// Makes a pattern.
    public init(
        type: String, code: String? = nil, mtu: UInt32? = nil, quotation: Quotation? = nil, quotesFirst: Bool = false
    ) {
        self.type = type
        self.code = code
        self.mtu = mtu
        self.quotation = quotation
        self.quotesFirst = quotesFirst
    }
}
