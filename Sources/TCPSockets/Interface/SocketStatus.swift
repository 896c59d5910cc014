import TCPStack
public import TCPEngine
public import TCPWire

/// What is known of a socket, for reports of failures.
public struct SocketStatus: Hashable, Sendable {
    /// The descriptor.
    public var descriptor: Int32
    /// The RFC's state; CLOSED for a socket that never had a connection.
    public var state: State
    /// This host's end; `nil` for a socket that is not bound.
    public var local: Endpoint?
    /// The other end, of a connection.
    public var remote: Endpoint?
    /// What `TCP_INFO` says.
    public var info: TCPInfo
    /// An error that the next call reports.
    public var error: Errno
    /// Octets that wait to be read; of a listener, connections that wait for `accept`.
    public var unread: Int
    /// Octets written and not acknowledged.
    public var unacknowledged: Int
}

extension VirtualKernel {
    /// Every socket that has a descriptor, by descriptor.
    public func sockets() -> [SocketStatus] { descriptors.keys.sorted().compactMap(status(of:)) }

    /// Every conversation of the stack in any state, those without a descriptor and half-open ones included.
    public func flows() -> [(local: Endpoint, remote: Endpoint, state: State)] {
        stack.flows().map { ($0.local, $0.remote, $0.state) }
    }

    /// What is known of the socket with this descriptor; `nil` when it is none.
    public func status(of descriptor: Int32) -> SocketStatus? {
        guard case .socket(let socket)? = descriptors[descriptor] else { return nil }
        var result = SocketStatus(
            descriptor: descriptor, state: .closed, local: socket.bound.map { Endpoint($0.address, $0.port) },
            remote: nil, info: information(of: socket), error: socket.error, unread: 0, unacknowledged: 0)
        switch socket.role {
        case .none: break
        case .listener:
            result.state = .listen
            result.unread = acceptableCount(socket)
        case .connection(let id):
            guard let status = stack.status(of: id) else { break }
            result.state = status.state
            result.local = status.local
            result.remote = status.remote
            result.unread = status.unread
            result.unacknowledged = status.unacknowledged
        }
        return result
    }

    /// What `TCP_INFO` says of the socket with this descriptor; `nil` when it is none.
    public func information(of descriptor: Int32) -> TCPInfo? { status(of: descriptor)?.info }

    func information(of socket: Socket) -> TCPInfo {
        var info = TCPInfo()
        info.state = UInt8(Linux.TCP_CLOSE)
        info.retransmissionTimeout = UInt32(clamping: settings.initialRTO.nanoseconds / 1000)
        info.congestionWindow = UInt32(clamping: settings.initialWindow ?? 10)
        info.slowStartThreshold = UInt32(Int32.max)
        info.reordering = 3
        info.maximumPacingRate = socket.options.maximumPacingRate ?? .max
        switch socket.role {
        case .none: break
        case .listener:
            info.state = UInt8(Linux.TCP_LISTEN)
            info.unacknowledged = UInt32(clamping: acceptableCount(socket))
        case .connection(let id):
            guard let details = stack.details(of: id), let status = stack.status(of: id) else { break }
            let pair = FlowPair(local: status.local, remote: status.remote)
            fill(&info, details, status.state, socket)
            fill(&info, traffic[pair] ?? Traffic(), details)
            if let known = stack.info(of: id) { fill(&info, known) }
        }
        return info
    }

    private func number(_ state: State) -> Int32 {
        switch state {
        case .closed: Linux.TCP_CLOSE
        case .listen: Linux.TCP_LISTEN
        case .synSent: Linux.TCP_SYN_SENT
        case .synReceived: Linux.TCP_SYN_RECV
        case .established: Linux.TCP_ESTABLISHED
        case .finWait1: Linux.TCP_FIN_WAIT1
        case .finWait2: Linux.TCP_FIN_WAIT2
        case .closeWait: Linux.TCP_CLOSE_WAIT
        case .closing: Linux.TCP_CLOSING
        case .lastAck: Linux.TCP_LAST_ACK
        case .timeWait: Linux.TCP_TIME_WAIT
        }
    }

    private func fill(_ info: inout TCPInfo, _ details: ConnectionDetails, _ state: State, _ socket: Socket) {
        let size = max(1, details.segmentSize)
        info.state = UInt8(number(state))
        info.backoff = UInt8(clamping: details.backoff)
        info.retransmits = UInt8(
            clamping: state == .synSent ? details.backoff : details.recovery.timeouts)
        info.probes = UInt8(clamping: details.sendWindow == 0 ? details.backoff : details.keepAliveProbes)
        info.options =
            (details.usesTimestamps ? 1 : 0) | (details.usesSACK ? 2 : 0) | (details.usesScaling ? 4 : 0)
            | (details.openedFast ? UInt8(Linux.TCPI_OPT_SYN_DATA) : 0)
            | (details.ecn != .none ? UInt8(Linux.TCPI_OPT_ECN) : 0)
            | (details.hasSeenECN ? UInt8(Linux.TCPI_OPT_ECN_SEEN) : 0)
        info.sendWindowScale = details.sendScale
        info.receiveWindowScale = details.receiveScale
        info.retransmissionTimeout = UInt32(clamping: details.retransmissionTimeout / 1000)
        info.acknowledgmentTimeout = UInt32(clamping: settings.delayedAcknowledgment.nanoseconds / 1000)
        info.sendSegmentSize = UInt32(clamping: details.segmentSize)
        info.receiveSegmentSize = UInt32(clamping: details.receiveSegmentSize)
        info.pathMTU = UInt32(clamping: details.pathMTU)
        info.smoothedRTT = UInt32(clamping: details.smoothedRTT / 1000)
        info.variationRTT = UInt32(clamping: details.variationRTT / 1000)
        info.congestionWindow = UInt32(clamping: details.congestionWindow / size)
        info.slowStartThreshold =
            details.slowStartThreshold >= Int(Int32.max)
            ? UInt32(Int32.max) : UInt32(clamping: details.slowStartThreshold / size)
        let options = details.usesTimestamps ? 12 : 0
        info.advertisedSegmentSize = UInt32(clamping: details.advertisedSegmentSize - options)
        info.receiveSpace = UInt32(clamping: details.receiveLimit)
        info.totalRetransmitted = UInt32(clamping: details.retransmittedSegments)
        info.octetsAcknowledged =
            socket.octetsWritten &- UInt64(min(Int64(details.unacknowledged), Int64(socket.octetsWritten)))
        info.octetsReceived = socket.octetsRead &+ UInt64(details.unread)
        info.notSent = UInt32(clamping: details.unsent)
        info.sendWindow = UInt32(clamping: details.sendWindow)
        info.receiveWindow = UInt32(clamping: details.receiveWindow)
    }

    /// What the sender learned of the path, and did.
    private func fill(_ info: inout TCPInfo, _ known: ConnectionInfo) {
        info.pacingRate = known.pacingRate.map { UInt64($0) } ?? .max
        if known.leastRTT > .zero { info.leastRTT = UInt32(clamping: known.leastRTT.nanoseconds / 1000) }
        info.deliveryRate = UInt64(known.deliveryRate ?? 0)
        info.isDeliveryRateApplicationLimited = known.isDeliveryRateApplicationLimited
        let size = UInt64(max(1, known.maximumSegmentSize))
        let delivered = known.octetsAcknowledged &+ UInt64(known.selectivelyAcknowledged)
        info.delivered = UInt32(clamping: (delivered &+ size &- 1) / size)
        info.octetsRetransmitted = known.retransmittedOctets
        info.duplicateReports = UInt32(clamping: known.duplicateReports)
        info.reorderingSeen = known.hasSeenReordering ? 1 : 0
        info.timeouts = UInt32(clamping: known.timeouts)
    }

    /// What Linux counts in segments: each as it was first sent.
    private func fill(_ info: inout TCPInfo, _ traffic: Traffic, _ details: ConnectionDetails) {
        info.segmentsSent = traffic.segmentsSent
        info.segmentsReceived = traffic.segmentsReceived
        info.dataSegmentsSent = traffic.dataSegmentsSent
        info.dataSegmentsReceived = traffic.dataSegmentsReceived
        info.octetsSent = traffic.octetsSent
        info.lastDataSent = age(traffic.dataSentAt ?? traffic.beganAt)
        info.lastDataReceived = age(traffic.dataReceivedAt ?? traffic.beganAt)
        info.lastAcknowledgmentReceived = age(traffic.acknowledgmentReceivedAt ?? traffic.beganAt)
        let flight = traffic.flight.filter { $0.end > details.sendUnacknowledged }
        info.unacknowledged = UInt32(clamping: flight.count)
        info.congestionState = UInt8(details.duplicates > 0 ? Linux.TCP_CA_Disorder : Linux.TCP_CA_Open)
        let recovery = details.recovery
        switch recovery.phase {
        case .open: if !recovery.sacked.isEmpty { info.congestionState = UInt8(Linux.TCP_CA_Disorder) }
        case .reduced: info.congestionState = UInt8(Linux.TCP_CA_CWR)
        case .fast: info.congestionState = UInt8(Linux.TCP_CA_Recovery)
        case .timeout, .resized, .divided: info.congestionState = UInt8(Linux.TCP_CA_Loss)
        }
        for sent in flight {
            func isIn(_ blocks: [SACKBlock]) -> Bool {
                blocks.contains { $0.start <= sent.start && sent.end <= $0.end }
            }
            if isIn(recovery.sacked) {
                info.sacked += 1
                continue
            }
            // Linux counts what was lost as lost until it has arrived, sent again or not.
            if isIn(recovery.lost) { info.lost += 1 }
            if isIn(recovery.retransmitted) {
                info.lost += 1
                info.retransmitted += 1
            }
        }
    }

    private func age(_ instant: Instant) -> UInt32 {
        UInt32(clamping: (now.nanoseconds - instant.nanoseconds) / 1_000_000)
    }
}
