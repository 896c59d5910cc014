import TCPWire

/// The two ends of a conversation.
struct FlowPair: Hashable {
    var local: Endpoint
    var remote: Endpoint
}

/// What passed between two ends, as the interface saw it.
struct Traffic {
    /// Sequence numbers of a segment that was sent.
    struct Sent {
        var start: SequenceNumber
        var end: SequenceNumber
    }

    var segmentsSent: UInt32 = 0
    var segmentsReceived: UInt32 = 0
    var dataSegmentsSent: UInt32 = 0
    var dataSegmentsReceived: UInt32 = 0
    var octetsSent: UInt64 = 0
    /// When it began: what is told as long ago as that never happened.
    var beganAt = Instant.zero
    var awaitsThird = false
    var dataSentAt: Instant?
    var dataReceivedAt: Instant?
    var acknowledgmentReceivedAt: Instant?
    /// Segments as they were sent first, from SND.UNA on: what Linux counts flights in.
    var flight: [Sent] = []
    /// The last error that ICMP told of it.
    var complaint: Errno?

    /// A segment with sequence numbers of its own leaves.
    mutating func noteSent(_ start: SequenceNumber, _ end: SequenceNumber) {
        if let last = flight.last, end <= last.end { return }
        flight.append(Sent(start: start, end: end))
    }

    /// An acknowledgment came.
    mutating func noteAcknowledged(_ number: SequenceNumber) {
        let count = flight.prefix { $0.end <= number }.count
        if count > 0 { flight.removeFirst(count) }
    }
}

extension VirtualKernel {
    /// Counts a packet that arrives.
    func observeArrival(_ packet: RawSpan) {
        guard let ip = try? IPHeader(parsing: packet) else { return }
        if ip.protocolNumber != IPProtocol.tcp {
            observeComplaint(ip, packet)
            return
        }
        guard let (tcp, length) = parse(ip, packet) else { return }
        let pair = FlowPair(
            local: Endpoint(ip.destination, tcp.destinationPort), remote: Endpoint(ip.source, tcp.sourcePort))
        var counts = traffic[pair] ?? Traffic()
        if tcp.flags.contains(.syn), !tcp.flags.contains(.ack), counts.flight.isEmpty { counts = Traffic() }
        // The SYN-ACK of an active open; of a passive one the segment after the SYN.
        if tcp.flags.contains(.syn) || counts.awaitsThird { counts.beganAt = now }
        counts.awaitsThird = tcp.flags.contains(.syn) && !tcp.flags.contains(.ack)
        counts.segmentsReceived &+= 1
        if length > 0 {
            counts.dataSegmentsReceived &+= 1
            counts.dataReceivedAt = now
        }
        if tcp.flags.contains(.ack) {
            counts.acknowledgmentReceivedAt = now
            counts.noteAcknowledged(tcp.acknowledgment)
        }
        traffic[pair] = counts
    }

    /// Counts a packet that leaves.
    func observeDeparture(_ packet: RawSpan) {
        guard let ip = try? IPHeader(parsing: packet), let (tcp, length) = parse(ip, packet) else { return }
        let pair = FlowPair(
            local: Endpoint(ip.source, tcp.sourcePort), remote: Endpoint(ip.destination, tcp.destinationPort))
        var counts = traffic[pair] ?? Traffic()
        if tcp.flags.contains(.syn) { counts.flight = [] }
        counts.segmentsSent &+= 1
        if length > 0 {
            counts.dataSegmentsSent &+= 1
            counts.octetsSent &+= UInt64(length)
            counts.dataSentAt = now
        }
        let taken = length + (tcp.flags.contains(.syn) ? 1 : 0) + (tcp.flags.contains(.fin) ? 1 : 0)
        if taken > 0 { counts.noteSent(tcp.sequence, tcp.sequence + taken) }
        traffic[pair] = counts
    }

    private func parse(_ ip: IPHeader, _ packet: RawSpan) -> (TCPHeader, Int)? {
        guard ip.protocolNumber == IPProtocol.tcp else { return nil }
        let segment = packet.extracting(ip.headerLength..<ip.totalLength)
        guard let tcp = try? TCPHeader(parsing: segment) else { return nil }
        return (tcp, segment.byteCount - tcp.headerLength)
    }

    /// Keeps what an ICMP error says, in Linux's word for it, until the stack tells whether it counted.
    private func observeComplaint(_ ip: IPHeader, _ packet: RawSpan) {
        let body = packet.extracting(ip.headerLength..<ip.totalLength)
        guard body.byteCount >= 8 else { return }
        let message =
            ip.source.isIPv4
            ? try? ICMPMessage(parsingV4: body)
            : try? ICMPMessage(parsingV6: body, source: ip.source, destination: ip.destination)
        guard case .error(_, let quoted)? = message else { return }
        let type = body.u8(0)
        let code = body.u8(1)
        let pair = FlowPair(local: quoted.source, remote: quoted.destination)
        traffic[pair, default: Traffic()].complaint = ip.source.isIPv4 ? word(type, code) : wordV6(type, code)
    }

    private func word(_ type: UInt8, _ code: UInt8) -> Errno {
        switch (type, code) {
        case (3, 0), (3, 6), (3, 9), (3, 11): .ENETUNREACH
        case (3, 2): settings.flavour == .linux ? .ENOPROTOOPT : .ECONNREFUSED
        case (3, 3): .ECONNREFUSED
        case (3, 4): .EMSGSIZE
        case (3, 5): .EOPNOTSUPP
        case (3, 7): Errno(name: "EHOSTDOWN") ?? .EHOSTUNREACH
        case (12, _): Errno(name: "EPROTO") ?? .EHOSTUNREACH
        default: .EHOSTUNREACH
        }
    }

    private func wordV6(_ type: UInt8, _ code: UInt8) -> Errno {
        switch (type, code) {
        case (1, 0): .ENETUNREACH
        case (1, 1), (1, 5), (1, 6): .EACCES
        case (1, 4): .ECONNREFUSED
        case (2, _): .EMSGSIZE
        case (4, _): Errno(name: "EPROTO") ?? .EHOSTUNREACH
        default: .EHOSTUNREACH
        }
    }
}
