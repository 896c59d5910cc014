import TCPEngine
import TCPStack
import TCPWire

// After the programme: a wire that loses nothing, programs that read all and close, and then nothing may be left.
extension WireSession {
    /// Whether both ends have one connection, the same one, that nothing has gone wrong with yet.
    private var isWhole: Bool {
        // A half-open entry lives for 63 s, and a sender that saw a round trip of r may be silent for 3 r: within four times
        // this it has sent again.
        guard !isForged, !isAborted, elapsed < 15_000_000_000 else { return false }
        for end in ends {
            guard end.handles.count <= 1 else { return false }
            for handle in end.handles where end.host.stack.status(of: handle.id)?.error != nil { return false }
        }
        return !ends[0].handles.isEmpty
    }

    func beFair() {
        let expectsAll = isWhole
        var rounds = 0
        settle()
        while rounds < 600, !isDone {
            rounds += 1
            settle()
            // Programs close once all that is there was read; a receiver without a connection waits for one.
            for end in ends.indices where hasOpened(end) { close(end) }
            settle()
            if isDone { break }
            guard let deadline = ends.compactMap({ $0.host.stack.nextDeadline }).min() else { break }
            for end in ends { end.host.advance(to: max(end.host.now, deadline), late: true) {} }
            for end in ends { end.host.audit() }
        }
        if expectsAll { checkAll() }
    }

    /// CLOSE in SYN-SENT drops the attempt (RFC 9293 §3.10.4).
    private func hasOpened(_ end: Int) -> Bool {
        guard let id = ends[end].handles.last?.id else { return false }
        return ends[end].host.stack.status(of: id)?.state != .synSent
    }

    /// Everything goes to and fro, in order, until nothing moves.
    private func settle() {
        var rounds = 0
        var moves = true
        while moves {
            moves = false
            for end in ends.indices {
                let before = flights.count
                send(end, 64)
                moves = moves || flights.count > before
            }
            while !flights.isEmpty { deliver(0) }
            for end in ends.indices {
                accept(end)
                let before = ends[end].handles.last?.read
                read(end, 20_000)
                moves = moves || ends[end].handles.last?.read != before
                while ends[end].host.stack.nextEvent() != nil {}
            }
            rounds += 1
            require(rounds < 20_000, "two stacks on a fair wire answer each other without end")
        }
    }

    private var isDone: Bool {
        for end in ends {
            for handle in end.handles {
                guard let status = end.host.stack.status(of: handle.id) else { continue }
                if status.state != .closed && status.state != .timeWait { return false }
            }
        }
        return true
    }

    /// RFC 9293 §3.1: TCP delivers all octets, in order, or tells of an error; a fair wire is no reason for one.
    private func checkAll() {
        for end in ends {
            guard let handle = end.handles.last else { fatalError("one end never had the connection") }
            guard let status = end.host.stack.status(of: handle.id) else { fatalError("a handle was lost") }
            require(
                status.error == nil,
                "a fair wire ends a connection with \(status.error.map(String.init(describing:)) ?? "")")
            require(
                status.state == .closed || status.state == .timeWait, "a connection is not over but \(status.state)")
        }
        for end in ends.indices {
            require(ends[end].handles[0].endOfStream, "the end of the stream was never read")
            require(
                ends[end].handles[0].read == ends[1 - end].handles[0].written,
                "octets were lost on the way to a clean end")
        }
    }

    func finish() {
        for index in ends.indices {
            accept(index)
            let end = ends[index]
            end.host.finish(end.handles.map(\.id), end.listeners) {
                while end.host.transmit() != nil {}
                while end.host.stack.nextEvent() != nil {}
            }
        }
    }
}
