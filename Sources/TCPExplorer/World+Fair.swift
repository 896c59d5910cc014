internal import TCPEngine
internal import TCPStack
internal import TCPTrace
internal import TCPWire

// From here on the network is fair: it delivers everything in its order, and the programs finish and close.
extension World {
    /// Leads this world to its end: both ends closed, everything given back. `isKnown` says whether the end from a world
    /// with that fingerprint is known to be good; every world passed on the way is handed to it.
    func runFairly(_ isKnown: (Fingerprint) -> Bool) {
        for _ in 0..<World.fairSteps {
            if finding != nil { return }
            if isKnown(fingerprint(counted: false)) { return }
            if !stepFairly() {
                checkEverythingEnded()
                return
            }
            check()
        }
        fail(.fairEnd, "A fair network has not led to both ends closed in \(World.fairSteps) steps: \(description).")
    }

    /// The most steps from any world to its end.
    static let fairSteps = 250

    /// One step; whether there was one to make.
    private func stepFairly() -> Bool {
        if !flight.isEmpty {
            narration?.append(words(for: .deliver(0)))
            deliver(flight.removeFirst())
            return true
        }
        for end in 0...1 where mayAct(end) {
            narration?.append(words(for: .act(end)))
            act(end)
            return true
        }
        for host in hosts where host.connection != nil && !host.lives[host.lives.count - 1].isClosed {
            narration?.append("the \(host.name) closes")
            host.lives[host.lives.count - 1].isClosed = true
            close(host)
            pump(host)
            return true
        }
        let due = hosts.compactMap { $0.stack.inspect().lazy.compactMap(\.nextTimer).min() }.min()
        if let due {
            narration?.append("time passes until the next timer fires")
            passTime(to: due)
            for end in 0...1 { advance(end, due: due) }
            return true
        }
        // Nothing will come any more: a program that still waits for its peer's FIN exits.
        for host in hosts where fault != .keepsHandles && fault != .neverCloses {
            guard let id = host.connection else { continue }
            narration?.append("the \(host.name)'s program exits")
            recorder?.acted(.release, host, self)
            host.stack.release(id, at: now)
            host.connection = nil
            pump(host)
            return true
        }
        return false
    }

    private func checkEverythingEnded() {
        for host in hosts {
            guard host.stack.inspect().isEmpty, host.connection == nil else {
                return fail(.fairEnd, at: host, "After a fair network the \(host.name) is not closed: \(description).")
            }
            // Idle blocks go back after a second or two.
            for _ in 0..<3 {
                now = now.advanced(byNanoseconds: 1_000_000_000)
                host.stack.advance(to: now)
            }
            if host.stack.budgetUsed != host.baseline {
                fail(
                    .memory, at: host,
                    "The \(host.name) is closed and holds \(host.stack.budgetUsed - host.baseline) bytes more than at first."
                )
            }
        }
        checkCompleteness()
    }

    /// Where both ends of a connection ended well, each has read all that the other wrote.
    private func checkCompleteness() {
        for life in hosts[0].lives where life.hasEnded && !life.isAborted && life.error == nil {
            guard let remote = life.peerInitial, let index = hosts[1].life(initial: remote) else { continue }
            let other = hosts[1].lives[index]
            guard other.peerInitial == life.initial, other.hasEnded, !other.isAborted, other.error == nil else {
                continue
            }
            if life.read != other.written || other.read != life.written {
                fail(
                    .completeness,
                    "Both ends closed without an error, but the client read \(life.read) of \(other.written) octets and the server \(other.read) of \(life.written)."
                )
            }
        }
    }

    /// Where both ends stand.
    var description: String {
        hosts.map { host in
            let states = host.stack.inspect().map { "\($0.state)" }
            return "\(host.name) " + (states.isEmpty ? "CLOSED" : states.joined(separator: " and "))
        }.joined(separator: ", ") + ", \(flight.count) packets on their way"
    }
}
