internal import TCPSockets
internal import TCPWire

extension Runner {
    /// Makes a call and, unless it blocks, checks what it came to.
    func make(_ call: SocketCall, _ event: ScriptEvent, _ tolerance: Int64) throws(Stop) {
        let systemCall = try built(call)
        note(systemCall)
        guard let end = call.end else {
            let id = kernel.submit(systemCall, blocks: false)
            guard let result = kernel.result(of: id) else {
                throw .failed(reason: "the call blocks, and the script gives it no time to", got: nil)
            }
            return try check(result, call)
        }
        let origin: Instant
        if case .relative = event.time { origin = base } else { origin = start }
        let last = origin.advanced(byNanoseconds: end)
        let id = kernel.submit(systemCall, blocks: true)
        blocked = Blocked(id: id, event: event, call: call, end: last, tolerance: tolerance)
        try pollBlocked()
    }

    private func built(_ call: SocketCall) throws(Stop) -> SystemCall {
        var offset = 0
        if let first = call.arguments.first, let descriptor = try? calls.descriptor(first) {
            offset = written[descriptor] ?? 0
        }
        return try translated { () throws(CallBuilder.Fault) in try calls.systemCall(call, offset: offset) }
    }

    /// Remembers what later packets and blocks are about.
    private func note(_ call: SystemCall) {
        switch call {
        case .listen(let descriptor, _):
            current = nil
            inspected = descriptor
        case .connect(let descriptor, let address): noteOpening(descriptor, address)
        case .send(let descriptor, _, let flags, let address?) where flags & Linux.MSG_FASTOPEN != 0:
            noteOpening(descriptor, address)
        case .bind(_, let address) where address.port > 0: listeningPort = address.port
        case .send(_, _, _, let address?): expectedPeer = Endpoint(address.address, address.port)
        case .splice: hasForeignOctets = true
        default: break
        }
    }

    private func noteOpening(_ descriptor: Int32, _ address: SocketAddress) {
        let peer = Endpoint(address.address, address.port)
        if !conversations.contains(where: { $0.remote == peer && $0.isBaseKnown }) || inspected != descriptor {
            current = nil
        }
        expectedPeer = peer
        inspected = descriptor
    }

    // MARK: Calls that block

    /// Checks the call that blocks, if it has returned.
    func pollBlocked() throws(Stop) {
        guard let blocked, let result = kernel.result(of: blocked.id) else { return }
        try finish(blocked, result)
    }

    /// Lets the call that blocks return: one thread makes all calls, so the next has to wait for it.
    func finishBlocked() throws(Stop) {
        guard let blocked else { return }
        let limit = blocked.end.advanced(byNanoseconds: blocked.tolerance)
        guard let result = kernel.result(of: blocked.id, before: limit) else {
            self.blocked = nil
            throw .failed(reason: "the call still blocks at \(clock(limit))", got: nil, at: blocked.event)
        }
        try finish(blocked, result)
    }

    private func finish(_ blocked: Blocked, _ result: CallResult) throws(Stop) {
        self.blocked = nil
        do throws(Stop) {
            try check(result, blocked.call)
            if abs((result.time - blocked.end).nanoseconds) > blocked.tolerance {
                throw .failed(
                    reason: "the call returned at \(clock(result.time)), not at \(clock(blocked.end))", got: nil)
            }
        } catch {
            guard case .failed(let reason, let got, nil) = error else { throw error }
            throw .failed(reason: reason, got: got, at: blocked.event)
        }
    }

    // MARK: Results

    private func check(_ result: CallResult, _ call: SocketCall) throws(Stop) {
        func fail(_ reason: String) -> Stop { .failed(reason: reason, got: text(of: result, call)) }
        try checkValue(result, call, fail)
        guard result.value >= 0 else { return }
        try account(result, call)
        if let fault = try translated({ () throws(CallBuilder.Fault) in try calls.fault(in: result, call) }) {
            throw fail(fault)
        }
        if call.name == "pipe" || call.name == "pipe2" { adoptPipe(result, call) }
    }

    private func checkValue(_ result: CallResult, _ call: SocketCall, _ fail: (String) -> Stop) throws(Stop) {
        guard call.result != .ellipsis else { return }
        let wanted = try translated { () throws(CallBuilder.Fault) in try calls.integer(call.result) }
        let isDescriptor = ["socket", "accept", "accept4", "epoll_create", "epoll_create1"].contains(call.name)
        if wanted >= 0, result.value >= 0, isDescriptor {
            adopt(Int32(truncatingIfNeeded: result.value), as: wanted, call)
        } else if Int64(result.value) != wanted {
            throw fail(
                "the result is \(describe(result)), not \(wanted)" + (call.errorName.map { " \($0)" } ?? ""))
        }
        guard let name = call.errorName, result.value < 0 else { return }
        guard let errno = Errno(name: name) else { throw .unavailable("the error \(name) is not known") }
        if result.errno != errno { throw fail("the error is \(result.errno), not \(name)") }
    }

    /// Turns what a script asks for and cannot have into the end of its run.
    private func translated<Value>(_ body: () throws(CallBuilder.Fault) -> Value) throws(Stop) -> Value {
        do throws(CallBuilder.Fault) {
            return try body()
        } catch {
            throw error.isUnavailable ? .unavailable(error.message) : .failed(reason: error.message, got: nil)
        }
    }

    private func adopt(_ descriptor: Int32, as number: Int64, _ call: SocketCall) {
        calls.descriptors[number] = descriptor
        written[descriptor] = 0
        read[descriptor] = 0
        if call.name.hasPrefix("accept") { inspected = descriptor }
    }

    private func adoptPipe(_ result: CallResult, _ call: SocketCall) {
        guard case .list(let names)? = call.arguments.first, names.count == result.descriptors.count else { return }
        for (name, descriptor) in zip(names, result.descriptors) {
            if let number = try? calls.integer(name) { calls.descriptors[number] = descriptor }
        }
    }

    /// Counts what was written and read, and checks what was read.
    private func account(_ result: CallResult, _ call: SocketCall) throws(Stop) {
        guard let first = call.arguments.first, let descriptor = try? calls.descriptor(first) else { return }
        switch call.name {
        case "write", "writev", "send", "sendto", "sendmsg":
            if case .string? = call.arguments.dropFirst().first { hasForeignOctets = true }
            written[descriptor, default: 0] += result.value
        case "read", "readv", "recv", "recvfrom", "recvmsg":
            let place = read[descriptor, default: 0]
            if let fault = Payload.firstFault(in: result.octets, from: place), !hasForeignOctets {
                throw .failed(reason: "octet \(fault + 1) of the stream is not the one the peer sent", got: nil)
            }
            let flags = call.arguments.indices.contains(3) ? try? calls.integer(call.arguments[3]) : 0
            let messageFlags = call.name == "recvmsg" ? try? calls.integer(call.arguments[2]) : flags
            if (messageFlags ?? 0) & Int64(Linux.MSG_PEEK) == 0 { read[descriptor] = place + result.octets.count }
        default: break
        }
    }

    private func describe(_ result: CallResult) -> String {
        result.value < 0 ? "-1 \(result.errno)" : String(result.value)
    }

    /// The call with what it came to, in the script's notation.
    private func text(of result: CallResult, _ call: SocketCall) -> String {
        var got = call
        got.arguments = calls.arguments(of: call, filledFrom: result)
        got.result = .integer(Int64(result.value), isHexadecimal: false)
        got.errorName = result.value < 0 ? "\(result.errno)" : nil
        got.note = nil
        return "\(clock(result.time)) \(got.text)"
    }
}
