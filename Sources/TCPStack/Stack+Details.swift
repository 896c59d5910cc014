package import TCPEngine
package import TCPWire

/// What stands in a connection's control block, for `TCP_INFO` and for tools.
package struct ConnectionDetails: Sendable {
    package var state: State
    package var error: ConnectionError?
    /// SND.UNA, SND.NXT.
    package var sendUnacknowledged: SequenceNumber
    package var sendNext: SequenceNumber
    /// SND.WND and RCV.WND in octets.
    package var sendWindow: Int
    package var receiveWindow: Int
    package var sendScale: UInt8
    package var receiveScale: UInt8
    package var usesTimestamps: Bool
    package var usesSACK: Bool
    package var usesScaling: Bool
    /// Octets of a SYN were taken (RFC 7413).
    package var openedFast: Bool
    /// What was agreed on of Explicit Congestion Notification, and whether something ECN-capable has come.
    package var ecn: ECN.Feedback
    package var hasSeenECN: Bool
    /// Octets to read, octets written and not acknowledged, octets never sent.
    package var unread: Int
    package var unacknowledged: Int
    package var unsent: Int
    /// Octets a write would take.
    package var room: Int
    package var urgent: Int
    package var isFinAcknowledged: Bool
    package var backoff: Int
    package var keepAliveProbes: Int
    package var quickAcknowledgments: Int
    package var smoothedRTT: Int64
    package var variationRTT: Int64
    package var retransmissionTimeout: Int64
    package var congestionWindow: Int
    package var slowStartThreshold: Int
    package var segmentSize: Int
    /// The most the path is believed to carry in one packet, in octets.
    package var pathMTU: Int
    package var advertisedSegmentSize: Int
    package var receiveSegmentSize: Int
    /// The octets kept for reading, at most.
    package var receiveLimit: Int
    /// The round trip as the receiver sees it, in microseconds; zero before one was measured.
    package var receiverRoundTrip: Int
    package var retransmittedSegments: Int
    package var duplicates: Int
    package var recovery: RecoveryDetails
}

/// What stands in the scoreboard.
package struct RecoveryDetails: Sendable {
    package var phase: Recovery.Phase
    package var timeouts: Int
    /// What the peer reports to hold, what is lost and was not sent again, and what was sent again and is in flight.
    package var sacked: [SACKBlock]
    package var lost: [SACKBlock]
    package var retransmitted: [SACKBlock]
}

// What socket calls ask that a program of the stack need not know.
extension Stack {
    /// Whether the address is this host's.
    package func hasAddress(_ address: IPAddress) -> Bool { localIndex(address) != nil }

    /// Connections that wait for `accept`; `nil` for a stale handle.
    package func waiting(on id: ListenerID) -> Int? { listenerIndex(id).map { listeners[$0].waiting } }

    /// Changes how many connections may wait.
    package mutating func setBacklog(_ backlog: Int, of id: ListenerID) {
        if let index = listenerIndex(id) { listeners[index].backlog = backlog }
    }

    /// Changes what connections of a listener get.
    package mutating func setOptions(_ options: ConnectionOptions, of id: ListenerID) {
        if let index = listenerIndex(id) { listeners[index].options = options }
    }

    /// Copies what a read would give, and leaves it to be read. Says how many octets.
    package func peek(_ id: ConnectionID, into buffer: inout MutableRawSpan) -> Int {
        guard let slot = slot(id) else { return 0 }
        let count = min(buffer.byteCount, tables.connections[slot].connection.receiveQueue.count)
        if count > 0 {
            tables.connections[slot].connection.receiveQueue.copy(
                from: 0, count: count, to: &buffer, at: 0, context.pool)
        }
        return count
    }

    /// The next `count` acknowledgments of a connection do not wait for company.
    package mutating func acknowledgeQuickly(_ id: ConnectionID, _ count: Int, at now: Instant) {
        context.now = max(context.now, now)
        guard let slot = slot(id) else { return }
        tables.connections[slot].connection.acknowledgeQuickly(UInt8(clamping: count))
        settle(slot)
    }

    /// What stands in a connection's control block; `nil` for a stale handle.
    package func details(of id: ConnectionID) -> ConnectionDetails? {
        guard let slot = slot(id) else { return nil }
        let isIPv4 = addresses[Int(tables.connections[slot].key.local)].prefix.address.isIPv4
        var details = tables.connections[slot].connection.details(context)
        let link = interface(of: tables.connections[slot].key)
        details.pathMTU = min(interfaces[link].mtu(isIPv4: isIPv4), details.pathMTU &+ (isIPv4 ? 40 : 60))
        return details
    }
}

extension Connection {
    func details(_ context: borrowing Context) -> ConnectionDetails {
        ConnectionDetails(
            state: state, error: error, sendUnacknowledged: send.unacknowledged, sendNext: send.next,
            sendWindow: Int(send.window), receiveWindow: advertisedWindow, sendScale: send.scale,
            receiveScale: receive.scale, usesTimestamps: usesTimestamps, usesSACK: usesSACK, usesScaling: usesScaling,
            openedFast: openedFast, ecn: ecn.feedback, hasSeenECN: hasSeenECN,
            unread: receiveQueue.count, unacknowledged: sendQueue.count, unsent: unsent, room: room(context),
            urgent: urgentCount,
            isFinAcknowledged: state == .finWait2 || state == .timeWait || state == .closed,
            backoff: Int(rtt.backoff), keepAliveProbes: Int(keepAliveProbes),
            quickAcknowledgments: Int(quickAcknowledgments), smoothedRTT: rtt.smoothed,
            variationRTT: rtt.variation, retransmissionTimeout: rtt.timeout(context.parameters),
            congestionWindow: Int(congestionWindow), slowStartThreshold: Int(slowStartThreshold),
            segmentSize: segmentSize, pathMTU: Int(path.size), advertisedSegmentSize: Int(linkSegmentSize),
            receiveSegmentSize: Int(receive.segmentSize), receiveLimit: receiveLimit(context),
            receiverRoundTrip: Int(space.roundTrip),
            retransmittedSegments: Int(retransmittedSegments),
            duplicates: Int(duplicateAcknowledgments),
            recovery: RecoveryDetails(
                phase: recovery.phase, timeouts: Int(recovery.timeouts), sacked: transmissions.sackedBlocks,
                lost: transmissions.lostBlocks, retransmitted: transmissions.retransmittedBlocks))
    }
}
