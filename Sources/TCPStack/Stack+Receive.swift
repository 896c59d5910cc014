import TCPEngine
public import TCPWire

// A packet arrives: IP first, then whom it is for.
extension Stack {
    /// Takes a packet from the link, from the IP version octet on. It may be several segments merged into one. Whatever it
    /// holds, the worst it causes is to be counted and dropped. Octets that are to be kept are copied.
    public mutating func receive(
        _ packet: RawSpan, metadata: PacketMetadata = PacketMetadata(), on interface: InterfaceID = .first,
        at now: Instant
    ) {
        context.now = max(context.now, now)
        counts.packetsReceived &+= 1
        do throws(PacketFault) {
            try take(packet, metadata, interface)
        } catch {
            counts.count(error)
            switch error {
            case .badExtension, .fragmentLength, .fragmentTooLong, .fragmentHeader: reportHeader(of: packet, interface)
            default: break
            }
        }
        relieve()
    }

    mutating func take(
        _ packet: RawSpan, _ metadata: PacketMetadata, _ interface: InterfaceID
    ) throws(PacketFault) {
        let header = try IPHeader(parsing: packet)
        // RFC 1122 §3.2.1.7, RFC 8200 §3.
        guard header.hopLimit > 0 else { throw .hopLimitExceeded }
        // RFC 9293 MUST-63, RFC 1122 §3.2.1.3.
        guard header.source.isValidSource, !header.source.isLoopback, !isBroadcastOrMulticast(header.source) else {
            throw .martianSource
        }
        guard let local = localIndex(header.destination, on: interface) else {
            // RFC 9293 MUST-57.
            throw isBroadcastOrMulticast(header.destination) ? .notUnicast : .notForUs
        }
        if let fragment = header.fragment {
            try takeFragment(packet, header, fragment, local)
            return
        }
        let body = packet.extracting(header.headerLength..<header.totalLength)
        switch header.protocolNumber {
        case IPProtocol.tcp: try takeSegment(body, header, local, metadata)
        case IPProtocol.icmp where header.source.isIPv4:
            try takeICMP(ICMPMessage(parsingV4: body), body, header, local)
        case IPProtocol.icmpv6 where !header.source.isIPv4:
            try takeICMP(
                ICMPMessage(parsingV6: body, source: header.source, destination: header.destination), body, header,
                local)
        case IPProtocol.udp: try takeDatagram(packet, header, local, metadata)
        default:
            // RFC 8200 §4.7: "no next header" is nothing to be told of.
            if header.protocolNumber != 59 || header.source.isIPv4 {
                report(.unknownProtocol(at: header.protocolField(in: packet)), about: packet, header, local)
            }
            throw .unknownProtocol
        }
    }

    private mutating func takeSegment(
        _ segment: RawSpan, _ ip: IPHeader, _ local: UInt16, _ metadata: PacketMetadata
    ) throws(PacketFault) {
        // RFC 9293 MUST-3.
        if !metadata.isChecksumTrusted || configuration.alwaysVerifiesChecksums {
            guard TCPHeader.isChecksumValid(segment, source: ip.source, destination: ip.destination) else {
                throw .badChecksum
            }
        }
        let header = try TCPHeader(parsing: segment)
        guard header.sourcePort != 0, header.destinationPort != 0 else { throw .portZero }
        counts.segmentsReceived &+= 1
        context.codepoint = ip.codepoint
        let payload = segment.extracting(header.headerLength..<segment.byteCount)
        let key = FlowKey(
            remote: ip.source, remotePort: header.sourcePort, local: local, localPort: header.destinationPort)
        let hash = key.hash(secret)
        if let id = flowTable.find(key, hash: hash, tables) {
            if id.isEntry {
                try receive(inEntry: id.slot, header, payload, hash)
            } else {
                let segments = metadata.segmentSize > 0 ? 1 &+ (payload.byteCount &- 1) / metadata.segmentSize : 1
                tables.connections[id.slot].connection.receive(header, payload, segments: segments, &context)
                settle(id.slot)
            }
            return
        }
        guard ip.source != ip.destination || header.sourcePort != header.destinationPort else { throw .land }
        try receiveUnmatched(header, payload, key, hash)
    }

    /// No connection has this four-tuple: a listener may want it (RFC 9293 §3.10.7.2), else the state is CLOSED (§3.10.7.1).
    mutating func receiveUnmatched(
        _ header: TCPHeader, _ payload: RawSpan, _ key: FlowKey, _ hash: UInt32
    ) throws(PacketFault) {
        // First, and in CLOSED: a reset is ignored.
        guard !header.flags.contains(.rst) else { throw .noConnection }
        guard let listener = listener(for: key) else {
            replyWithReset(header, payload.byteCount, key)
            return
        }
        // Second: nothing can be acknowledged here but a cookie.
        guard !header.flags.contains(.ack) else {
            if try takeCookie(header, payload, key, hash, listener: listener) { return }
            replyWithReset(header, payload.byteCount, key)
            return
        }
        // Third: a SYN. Fourth: anything else is dropped.
        guard header.flags.contains(.syn) else { throw .noConnection }
        try receiveSyn(header, payload, key, hash, listener: listener, minimumISN: nil)
    }

    /// RFC 9293 §3.10.7.1.
    mutating func replyWithReset(_ header: TCPHeader, _ payloadLength: Int, _ key: FlowKey) {
        var packet = ControlPacket(kind: .reset, key: key)
        if header.flags.contains(.ack) {
            packet.sequence = header.acknowledgment
        } else {
            let length =
                payloadLength &+ (header.flags.contains(.syn) ? 1 : 0) &+ (header.flags.contains(.fin) ? 1 : 0)
            packet.acknowledgment = header.sequence + length
            packet.hasAcknowledgment = true
        }
        send(packet)
    }

    /// Queues a reply that belongs to no connection.
    mutating func send(_ packet: ControlPacket) {
        if !interfaces[interface(of: packet.key)].control.append(packet, &context.budget) {
            counts.repliesDropped &+= 1
        }
    }
}
