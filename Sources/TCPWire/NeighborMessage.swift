/// A message of IPv6 neighbor discovery (RFC 4861 §4), read or to be written with its IPv6 header.
public struct NeighborMessage: Sendable, Equatable {
    /// Its ICMPv6 type.
    public enum Kind: UInt8, Sendable {
        /// Which routers are there?
        case routerSolicitation = 133
        /// A router tells what the link's hosts shall know.
        case routerAdvertisement = 134
        /// Who has the target, and is it there?
        case neighborSolicitation = 135
        /// Where the target is.
        case neighborAdvertisement = 136
        /// A better first hop.
        case redirect = 137

        /// Octets before the options.
        var fixedLength: Int {
            switch self {
            case .routerSolicitation: 8
            case .routerAdvertisement: 16
            case .neighborSolicitation, .neighborAdvertisement: 24
            case .redirect: 40
            }
        }
    }

    /// What it is.
    public var kind: Kind
    /// Where it comes from.
    public var source: IPAddress
    /// Where it goes.
    public var destination: IPAddress
    /// The first 32 bits behind the checksum: flags of advertisements, hop limit and lifetime of a router's.
    public var word: UInt32 = 0
    /// Target of a solicitation, an advertisement, a redirect; `::` in routers' messages.
    public var target: IPAddress = .unspecifiedIPv6
    /// The destination a redirect is about.
    public var redirected: IPAddress = .unspecifiedIPv6
    /// Source link-layer address option.
    public var sourceLink: MACAddress?
    /// Target link-layer address option.
    public var targetLink: MACAddress?
    /// Nonce option of six octets (RFC 7527 §4.1), in the lower 48 bits.
    public var nonce: UInt64?
    /// MTU option, of a router's advertisement.
    public var mtu: UInt32?
    /// How long a neighbor counts as reachable, in milliseconds; zero is not said.
    public var reachableTime: UInt32 = 0
    /// Time between solicitations, in milliseconds; zero is not said.
    public var retransmissionTimer: UInt32 = 0
    /// Where its options lie in the packet it was read from.
    public private(set) var options = 0..<0

    /// A message to send.
    public init(_ kind: Kind, source: IPAddress, destination: IPAddress, target: IPAddress = .unspecifiedIPv6) {
        self.kind = kind
        self.source = source
        self.destination = destination
        self.target = target
    }

    /// A neighbor's advertisement: it is a router.
    public var isRouter: Bool { word & 1 &<< 31 != 0 }
    /// A neighbor's advertisement: it answers a solicitation.
    public var isSolicited: Bool { word & 1 &<< 30 != 0 }
    /// A neighbor's advertisement: it replaces what was known.
    public var overrides: Bool { word & 1 &<< 29 != 0 }
    /// A router's advertisement: the hop limit to use; zero is not said.
    public var hopLimit: UInt8 { UInt8(truncatingIfNeeded: word &>> 24) }
    /// A router's advertisement: how long it is a default router, in seconds.
    public var routerLifetime: UInt16 { UInt16(truncatingIfNeeded: word) }
    /// A router's advertisement: 1, 0 or -1 for a high, medium or low preference (RFC 4191 §2.2, where the reserved value is
    /// medium).
    public var routerPreference: Int8 {
        switch word &>> 19 & 3 {
        case 1: 1
        case 3: -1
        default: 0
        }
    }

    /// The ICMPv6 type at the end of the headers, if the packet is ICMPv6 and long enough to have one.
    public static func type(of packet: RawSpan, _ header: IPHeader) -> UInt8? {
        guard header.protocolNumber == IPProtocol.icmpv6, !header.source.isIPv4,
            header.totalLength > header.headerLength
        else { return nil }
        return packet.u8(header.headerLength)
    }

    /// Reads a message whose IPv6 header was read from `packet`, and holds it to what each must be (RFC 4861 §6.1, §7.1, §8.1).
    ///
    /// - Throws: a fault whose name begins with `discovery`.
    public init(parsing packet: RawSpan, _ header: IPHeader) throws(EthernetFault) {
        let body = packet.extracting(header.headerLength..<header.totalLength)
        // RFC 4861 §6.1.1: it cannot have been forwarded.
        guard header.hopLimit == 255 else { throw .discoveryHopLimit }
        // RFC 6980 §5: not even in an atomic fragment.
        guard header.fragment == nil, !IPv6Chain.hasFragmentHeader(packet, header) else { throw .discoveryFragment }
        guard body.byteCount >= 8, let kind = Kind(rawValue: body.u8(0)), body.u8(1) == 0,
            body.byteCount >= kind.fixedLength
        else { throw .discoveryFormat }
        var checksum = Checksum()
        checksum.add(body)
        checksum.addPseudoHeader(
            source: header.source, destination: header.destination, protocol: IPProtocol.icmpv6, length: body.byteCount)
        guard checksum.value == 0 else { throw .discoveryChecksum }
        self.init(kind, source: header.source, destination: header.destination)
        word = body.be32(4)
        options = header.headerLength &+ kind.fixedLength..<header.totalLength
        switch kind {
        case .routerSolicitation: break
        case .routerAdvertisement:
            reachableTime = body.be32(8)
            retransmissionTimer = body.be32(12)
        case .neighborSolicitation, .neighborAdvertisement: target = body.ipv6(8)
        case .redirect:
            target = body.ipv6(8)
            redirected = body.ipv6(24)
        }
        try readOptions(packet)
        try check()
    }

    private mutating func readOptions(_ packet: RawSpan) throws(EthernetFault) {
        var offset = options.lowerBound
        while offset < options.upperBound {
            guard options.upperBound &- offset >= 8 else { throw .discoveryOption }
            let length = Int(packet.u8(offset &+ 1)) &* 8
            // RFC 4861 §4.6: an option without a length ends everything.
            guard length > 0, length <= options.upperBound &- offset else { throw .discoveryOption }
            switch (packet.u8(offset), length) {
            case (1, 8): sourceLink = try NeighborMessage.link(packet.mac(offset &+ 2))
            case (2, 8): targetLink = try NeighborMessage.link(packet.mac(offset &+ 2))
            // Of another length, it is no Ethernet's.
            case (1, _), (2, _): throw .discoveryOption
            case (5, 8): mtu = packet.be32(offset &+ 4)
            case (14, 8): nonce = packet.mac(offset &+ 2).rawValue
            default: break  // RFC 4861 §9: what is not known is passed over.
            }
            offset &+= length
        }
    }

    private static func link(_ address: MACAddress) throws(EthernetFault) -> MACAddress {
        guard address.isUnicast else { throw .discoveryOption }
        return address
    }

    /// What the RFC asks of the addresses.
    private func check() throws(EthernetFault) {
        switch kind {
        case .routerSolicitation:
            // §6.1.1
            guard !source.isUnspecified || sourceLink == nil else { throw .discoveryAddress }
        case .routerAdvertisement:
            // §6.1.2
            guard source.isLinkLocal else { throw .discoveryAddress }
        case .neighborSolicitation:
            // §7.1.1
            guard !target.isMulticast, !target.isUnspecified, !target.isIPv4 else { throw .discoveryTarget }
            guard !source.isUnspecified || destination.isSolicitedNode && sourceLink == nil else {
                throw .discoveryAddress
            }
        case .neighborAdvertisement:
            // §7.1.2
            guard !target.isMulticast, !target.isUnspecified, !target.isIPv4 else { throw .discoveryTarget }
            guard !destination.isMulticast || !isSolicited else { throw .discoveryAddress }
            guard !source.isUnspecified else { throw .discoveryAddress }
        case .redirect:
            // §8.1
            guard source.isLinkLocal else { throw .discoveryAddress }
            guard !redirected.isMulticast, !redirected.isIPv4, target.isLinkLocal || target == redirected else {
                throw .discoveryTarget
            }
        }
    }

    // MARK: To send

    /// Octets of the packet, IPv6 header included.
    public var encodedLength: Int {
        var length = 40 &+ kind.fixedLength
        if sourceLink != nil { length &+= 8 }
        if targetLink != nil { length &+= 8 }
        if nonce != nil { length &+= 8 }
        return length
    }

    /// Writes the packet at `offset`, where `encodedLength` octets belong to it. What routers alone say is left out.
    public func write(to frame: inout MutableRawSpan, at offset: Int) {
        let length = encodedLength
        frame.put64(0x6000_0000_0000_3AFF | UInt64(length &- 40) &<< 16, at: offset)
        frame.put(ipv6: source, at: offset &+ 8)
        frame.put(ipv6: destination, at: offset &+ 24)
        let body = offset &+ 40
        frame.put32(UInt32(kind.rawValue) &<< 24, at: body)
        frame.put32(word, at: body &+ 4)
        if kind.fixedLength >= 24 { frame.put(ipv6: target, at: body &+ 8) }
        var next = body &+ kind.fixedLength
        for (type, value) in [(1, sourceLink?.rawValue), (2, targetLink?.rawValue), (14, nonce)] as [(UInt64, UInt64?)]
        {
            guard let value else { continue }
            frame.put64(type &<< 56 | 1 &<< 48 | value, at: next)
            next &+= 8
        }
        var checksum = Checksum()
        checksum.add(frame.bytes.extracting(body..<next))
        checksum.addPseudoHeader(
            source: source, destination: destination, protocol: IPProtocol.icmpv6, length: next &- body)
        frame.put16(checksum.value, at: body &+ 2)
    }
}

/// A prefix that a router advertises (RFC 4861 §4.6.2).
public struct PrefixInformation: Sendable, Equatable {
    /// The prefix; bits behind it are zero.
    public var prefix: AddressPrefix
    /// L: its addresses are on this link.
    public var isOnLink: Bool
    /// A: addresses may be made of it.
    public var isAutonomous: Bool
    /// How long it is valid, in seconds; 2³²−1 is for ever.
    public var validLifetime: UInt32
    /// How long addresses made of it are preferred, in seconds; 2³²−1 is for ever.
    public var preferredLifetime: UInt32

    /// Reads the next prefix among a message's options, whose lengths were found right, from `offset` on; moves that on.
    public static func next(in packet: RawSpan, _ offset: inout Int, end: Int) -> PrefixInformation? {
        while end &- offset >= 8 {
            let start = offset
            offset &+= max(Int(packet.u8(start &+ 1)), 1) &* 8
            guard packet.u8(start) == 3, packet.u8(start &+ 1) == 4, offset <= end else { continue }
            let length = packet.u8(start &+ 2)
            let address = packet.ipv6(start &+ 16).masked(to: Int(length))
            // A mapped prefix would pass for IPv4 (RFC 4291 §2.5.5.2).
            guard length <= 128, !address.isIPv4 else { continue }
            return PrefixInformation(
                prefix: AddressPrefix(address, length: Int(length)),
                isOnLink: packet.u8(start &+ 3) & 0x80 != 0, isAutonomous: packet.u8(start &+ 3) & 0x40 != 0,
                validLifetime: packet.be32(start &+ 4), preferredLifetime: packet.be32(start &+ 8))
        }
        return nil
    }
}

extension IPAddress {
    /// The first `length` bits of an IPv6 address, zeros behind them.
    public func masked(to length: Int) -> IPAddress {
        if length <= 0 { return .unspecifiedIPv6 }
        if length >= 128 { return self }
        if length <= 64 { return IPAddress(high: high & UInt64.max &<< UInt64(64 &- length), low: 0) }
        return IPAddress(high: high, low: low & UInt64.max &<< UInt64(128 &- length))
    }
}

extension IPv6Chain {
    /// Whether a fragment header stands among the headers that were walked.
    static func hasFragmentHeader(_ packet: RawSpan, _ header: IPHeader) -> Bool {
        var next = packet.u8(6)
        var offset = 40
        while offset < header.headerLength {
            if next == IPv6Chain.fragment { return true }
            next = packet.u8(offset)
            offset &+= (Int(packet.u8(offset &+ 1)) &+ 1) &* 8
        }
        return false
    }
}
