import TCPEngine
import TCPWire

/// What is known of the peer when the third segment of a passive OPEN comes.
struct PassivePeer {
    /// ISS and IRS.
    var initial: SequenceNumber
    var peerInitial: SequenceNumber
    /// The peer's MSS; zero when it named none.
    var segmentSize: UInt16
    var scale: UInt8?
    var sack: Bool
    /// TS.Recent, if timestamps are in use.
    var timestamp: UInt32?
    var synAck: SynAckTime
    var ecn: AgreedECN
}

// The end of a passive OPEN: the third segment makes the connection, whether an entry was kept for it or a cookie.
extension Stack {
    /// Whether a listener may have another connection now.
    ///
    /// - Throws: `queueFull` while its queue is; `overloaded` while memory is near its end.
    mutating func checkRoom(_ listener: Int) throws(PacketFault) {
        guard listeners[listener].waiting < max(listeners[listener].backlog, 1) else {
            listeners[listener].tally.refusedForQueue &+= 1
            throw .queueFull
        }
        guard context.held < context.budget.marks.refusing else {
            listeners[listener].tally.refusedForMemory &+= 1
            throw .overloaded
        }
    }

    /// Makes a connection in SYN-RECEIVED that the flow table does not know yet, with a place in its listener's queue.
    mutating func makePassive(
        _ peer: PassivePeer, _ key: FlowKey, _ listener: Int
    ) throws(PacketFault) -> UInt32 {
        let keeping = context.budget.marks.keptBack
        makeRoom(for: Slab<ConnectionRecord>.chunkBytes &+ 2 &* flowTable.bytes)
        guard listeners[listener].queue.reserve(keeping: keeping, &context.budget) else { throw .noMemory }
        var connection = makeConnection(
            key, state: .synReceived, initial: peer.initial, listeners[listener].options,
            windowScale: listeners[listener].windowScale)
        connection.agree(
            maximumSegmentSize: peer.segmentSize == 0 ? nil : peer.segmentSize, windowScale: peer.scale,
            sackPermitted: peer.sack, timestamp: peer.timestamp, context)
        connection.resumeECN(peer.ecn.feedback, arrivedAs: peer.ecn.arrivedAs, sendsPlain: peer.ecn.sendsPlain)
        connection.resumePassive(
            peerInitial: peer.peerInitial, advertised: listeners[listener].synWindow, synAck: peer.synAck, context)
        guard let new = insertRecord(key, connection) else {
            listeners[listener].queue.giveBack(&context.budget)
            throw .noMemory
        }
        return new
    }

    /// The flow table knows the connection now: it takes the segment that made it, and waits for `accept`.
    mutating func finishPassive(_ new: UInt32, _ header: TCPHeader, _ payload: RawSpan, _ listener: Int) {
        tables.connections[new].marks.insert(.inTable)
        tables.connections[new].connection.receive(header, payload, segments: 1, &context)
        queue(new, listener)
        settle(new)
    }

    /// Puts a connection in its listener's queue, where a place was reserved for it.
    mutating func queue(_ new: UInt32, _ listener: Int) {
        _ = listeners[listener].queue.append(new, &context.budget)
        if !listeners[listener].isReported {
            listeners[listener].isReported = true
            announce(listener)
        }
    }

    /// Lets `nextEvent` tell that there is a connection to accept.
    mutating func announce(_ listener: Int) {
        guard !listeners[listener].isAnnounced else { return }
        listeners[listener].isAnnounced = true
        acceptable.append(ListenerID(slot: UInt32(listener), generation: listeners[listener].generation))
    }

    /// What is known of a listener; `nil` for a stale handle.
    public func status(of id: ListenerID) -> ListenerStatus? {
        guard let index = listenerIndex(id) else { return nil }
        return listeners[index].status(
            halfOpenLimit: halfOpenLimit(index), pendingFastOpens: pendingFastOpens(index))
    }
}
