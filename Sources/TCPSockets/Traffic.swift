import TCPWire

/// The two ends of a conversation.
struct FlowPair: Hashable {
    var local: Endpoint
    var remote: Endpoint
}

/// What passed between two ends, as the interface saw it.
struct Traffic {
    var segmentsSent: UInt32 = 0
    var segmentsReceived: UInt32 = 0
    var dataSegmentsSent: UInt32 = 0
    var dataSegmentsReceived: UInt32 = 0
    var octetsSent: UInt64 = 0
    var dataSentAt: Instant?
    var dataReceivedAt: Instant?
    var acknowledgmentReceivedAt: Instant?
}

extension VirtualKernel {
    /// Counts a packet that arrives.
    func observeArrival(_ packet: RawSpan) {
        guard let (ip, tcp, length) = parse(packet) else { return }
        let pair = FlowPair(
            local: Endpoint(ip.destination, tcp.destinationPort), remote: Endpoint(ip.source, tcp.sourcePort))
        var counts = tcp.flags.contains(.syn) ? Traffic() : traffic[pair] ?? Traffic()
        counts.segmentsReceived &+= 1
        if length > 0 {
            counts.dataSegmentsReceived &+= 1
            counts.dataReceivedAt = now
        }
        if tcp.flags.contains(.ack) { counts.acknowledgmentReceivedAt = now }
        traffic[pair] = counts
    }

    /// Counts a packet that leaves.
    func observeDeparture(_ packet: RawSpan) {
        guard let (ip, tcp, length) = parse(packet) else { return }
        let pair = FlowPair(
            local: Endpoint(ip.source, tcp.sourcePort), remote: Endpoint(ip.destination, tcp.destinationPort))
        var counts = traffic[pair] ?? Traffic()
        counts.segmentsSent &+= 1
        if length > 0 {
            counts.dataSegmentsSent &+= 1
            counts.octetsSent &+= UInt64(length)
            counts.dataSentAt = now
        }
        traffic[pair] = counts
    }

    private func parse(_ packet: RawSpan) -> (IPHeader, TCPHeader, Int)? {
        guard let ip = try? IPHeader(parsing: packet), ip.protocolNumber == IPProtocol.tcp else { return nil }
        let segment = packet.extracting(ip.headerLength..<ip.totalLength)
        guard let tcp = try? TCPHeader(parsing: segment) else { return nil }
        return (ip, tcp, segment.byteCount - tcp.headerLength)
    }
}
