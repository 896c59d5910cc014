internal import TCPWire

/// Makes the packets a script sends in.
enum PacketBuilder {
    /// A TCP segment from the peer.
    static func segment(
        _ pattern: SegmentPattern, network: NetworkPattern, in conversation: Conversation
    ) -> [UInt8] {
        var options: [OptionPattern] = []
        if case .list(let list) = pattern.options { options = list }
        let encoded = OptionCodec.octets(
            of: options.map { option in
                switch option {
                // What the peer echoes and selects is the stack's, so it is told in the wire's numbers.
                case .timestamps(let value, let echo):
                    .timestamps(value: value, echo: conversation.wireEcho(echo ?? 0))
                case .sack(let blocks):
                    .sack(
                        blocks.map {
                            .init(start: conversation.wire($0.start).rawValue, end: conversation.wire($0.end).rawValue)
                        })
                default: option
                }
            })
        var flags = pattern.flags
        if let ace = pattern.ace {
            flags.formUnion(TCPFlags(rawValue: UInt16(ace & 1) << 6 | UInt16(ace & 2) << 6 | UInt16(ace & 4) << 6))
        }
        let start = pattern.start ?? 0
        let length = 20 + encoded.count
        var segment = [UInt8](repeating: 0, count: length)
        var span = segment.mutableSpan
        var bytes = span.mutableBytes
        bytes.put16(conversation.remote.port, at: 0)
        bytes.put16(conversation.local.port, at: 2)
        bytes.put32(start, at: 4)
        bytes.put32(pattern.acknowledgment.map { conversation.wire($0).rawValue } ?? 0, at: 8)
        bytes.put16(UInt16(length / 4) << 12 | flags.rawValue & 0x1FF, at: 12)
        bytes.put16(pattern.window ?? 65_535, at: 14)
        bytes.put16(pattern.urgent ?? 0, at: 18)
        bytes.put(encoded.span.bytes, at: 20)
        let first = pattern.flags.contains(.syn) ? 0 : Int(Int32(bitPattern: start &- conversation.peerInitial &- 1))
        segment += Payload.octets(from: first, count: pattern.length)
        writeChecksum(
            &segment, at: 16, protocol: IPProtocol.tcp, conversation.remote.address, conversation.local.address)
        return packet(
            segment, protocol: IPProtocol.tcp, from: conversation.remote.address, to: conversation.local.address,
            network)
    }

    /// A UDP datagram from the peer.
    static func datagram(length: Int, from source: Endpoint, to destination: Endpoint, _ network: NetworkPattern)
        -> [UInt8]
    {
        var datagram = [UInt8](repeating: 0, count: 8)
        var span = datagram.mutableSpan
        var bytes = span.mutableBytes
        bytes.put16(source.port, at: 0)
        bytes.put16(destination.port, at: 2)
        bytes.put16(UInt16(truncatingIfNeeded: 8 + length), at: 4)
        datagram += Payload.octets(from: 0, count: length)
        writeChecksum(&datagram, at: 6, protocol: IPProtocol.udp, source.address, destination.address)
        return packet(datagram, protocol: IPProtocol.udp, from: source.address, to: destination.address, network)
    }

    /// An ICMP message about a segment or a datagram of the stack's, or about nothing; `nil` when the protocol has no such
    /// type or code.
    static func icmp(
        _ pattern: ICMPPattern, network: NetworkPattern, in conversation: Conversation
    ) -> [UInt8]? {
        let isIPv4 = conversation.local.address.isIPv4
        guard let type = ICMPNames.type(pattern.type, isIPv4: isIPv4),
            let code = pattern.code.map({ ICMPNames.code($0, type: pattern.type, isIPv4: isIPv4) }) ?? 0
        else { return nil }
        var message = [UInt8](repeating: 0, count: 8)
        message[0] = type
        message[1] = code
        if let mtu = pattern.mtu {
            var span = message.mutableSpan
            var bytes = span.mutableBytes
            bytes.put32(mtu, at: 4)
        }
        let errors: [UInt8] = isIPv4 ? [3, 4, 5, 11, 12] : [1, 2, 3, 4]
        if errors.contains(type) || pattern.quotation != nil { message += quotation(pattern.quotation, conversation) }
        let number = isIPv4 ? IPProtocol.icmp : IPProtocol.icmpv6
        writeChecksum(
            &message, at: 2, protocol: isIPv4 ? nil : number, conversation.remote.address, conversation.local.address)
        return packet(
            message, protocol: number, from: conversation.remote.address, to: conversation.local.address, network)
    }

    /// The headers of a packet of the stack's, as a router quotes them.
    private static func quotation(_ quotation: ICMPPattern.Quotation?, _ conversation: Conversation) -> [UInt8] {
        var transport = [UInt8](repeating: 0, count: 20)
        var length = 20
        var number = IPProtocol.tcp
        var span = transport.mutableSpan
        var bytes = span.mutableBytes
        bytes.put16(conversation.local.port, at: 0)
        bytes.put16(conversation.remote.port, at: 2)
        switch quotation {
        case .datagram(let count)?:
            number = IPProtocol.udp
            length = 8 + count
            bytes.put16(UInt16(truncatingIfNeeded: length), at: 4)
        case .segment(let start, _, let count)?:
            length = 20 + count
            bytes.put32(conversation.wire(start).rawValue, at: 4)
            bytes.put16(0x5010, at: 12)
        case nil:
            // As if `[0:0(0)]` were written: our SYN.
            bytes.put32(conversation.wire(0).rawValue, at: 4)
            bytes.put16(0x5010, at: 12)
        }
        if number == IPProtocol.udp { transport.removeLast(12) }
        return packet(
            transport, protocol: number, from: conversation.local.address, to: conversation.remote.address,
            NetworkPattern(), claiming: length)
    }

    // MARK: The IP header

    private static func packet(
        _ payload: [UInt8], protocol number: UInt8, from source: IPAddress, to destination: IPAddress,
        _ network: NetworkPattern, claiming length: Int? = nil
    ) -> [UInt8] {
        var trafficClass = network.trafficClass ?? 0
        switch network.ecn {
        case .capable0?, .capable?: trafficClass = trafficClass & 0xFC | 2
        case .capable1?: trafficClass = trafficClass & 0xFC | 1
        case .congestion?: trafficClass |= 3
        case .notCapable?: trafficClass &= 0xFC
        case nil: break
        }
        var header = [UInt8](repeating: 0, count: source.isIPv4 ? 20 : 40)
        var span = header.mutableSpan
        var bytes = span.mutableBytes
        let ip = IPHeader(
            source: source, destination: destination, protocolNumber: number, hopLimit: network.hopLimit ?? 255,
            trafficClass: trafficClass)
        _ = ip.write(to: &bytes, payloadLength: length ?? payload.count)
        if source.isIPv4, network.dontFragment == false {
            bytes.put16(0, at: 6)
            bytes.put16(0, at: 10)
            var checksum = Checksum()
            checksum.add(bytes.bytes)
            bytes.put16(checksum.value, at: 10)
        }
        if !source.isIPv4, let label = network.flowLabel {
            bytes.put32(bytes.bytes.be32(0) & 0xFFF0_0000 | label, at: 0)
        }
        return header + payload
    }

    private static func writeChecksum(
        _ segment: inout [UInt8], at offset: Int, protocol number: UInt8?, _ source: IPAddress, _ destination: IPAddress
    ) {
        var checksum = Checksum()
        checksum.add(segment.span.bytes)
        if let number {
            checksum.addPseudoHeader(
                source: source, destination: destination, protocol: number, length: segment.count)
        }
        let value = checksum.value
        var span = segment.mutableSpan
        var bytes = span.mutableBytes
        bytes.put16(value, at: offset)
    }
}
