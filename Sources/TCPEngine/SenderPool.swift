import TCPWire

// The third of four audited files: senders the core manages by hand. A reference is good until it is given back; a
// connection gives its own back once, and forgets it.

/// Where a sender is.
@safe package struct SenderReference: Equatable {
    private let address: UnsafeMutablePointer<Sender>
    /// Its place in the pool's list; the one that stands for none has no place.
    fileprivate let index: Int32

    fileprivate init(index: Int32) {
        let address = UnsafeMutablePointer<Sender>.allocate(capacity: 1)
        unsafe address.initialize(
            to: Sender(at: SequenceNumber(0), Congestion(.newReno, segmentSize: 536, synWasLost: false), now: .zero))
        unsafe self.address = address
        self.index = index
    }

    /// Whether it is a connection's own, and not what stands for none.
    package var isOwned: Bool { index >= 0 }

    package static func == (left: SenderReference, right: SenderReference) -> Bool {
        unsafe left.address == right.address
    }

    /// The sender itself. Exclusive use is the owner's to see to, who is used by one thread at a time.
    var state: Sender {
        @inline(__always) unsafeAddress { unsafe UnsafePointer(address) }
        @inline(__always) nonmutating unsafeMutableAddress { unsafe address }
    }

    /// Begins to use it.
    func start(_ sender: consuming Sender) { unsafe address.pointee = sender }

    fileprivate func free() {
        unsafe address.deinitialize(count: 1)
        unsafe address.deallocate()
    }
}

/// The senders of a stack's connections.
package struct SenderPool: ~Copyable {
    /// Bytes charged for one.
    package static var cost: Int { 32 &+ MemoryLayout<Sender>.stride }

    /// Frees what is left when the stack goes. A class, because Embedded Swift runs no deinit of another module's structure
    /// that is not public.
    private final class Owner {
        var all: [SenderReference?] = []
        let none = SenderReference(index: -1)

        deinit {
            for index in all.indices { all[index]?.free() }
            none.free()
        }
    }

    private let owner = Owner()
    private var free: [Int32] = []

    package init() {}

    /// What stands for the sender of a connection that has none: nothing is in flight, nothing wrong.
    package var none: SenderReference { owner.none }

    /// Whether nothing was written to it that was meant for a connection's own.
    package var isNonePristine: Bool { none.state.isPristine }

    /// Senders that connections hold.
    package var count: Int { owner.all.count &- free.count }

    /// A sender to start; `nil` when the budget has no room.
    mutating func take(_ budget: inout Budget) -> SenderReference? {
        guard budget.reserve(SenderPool.cost) else { return nil }
        guard let index = free.popLast() else {
            let made = SenderReference(index: Int32(owner.all.count))
            owner.all.append(made)
            return made
        }
        let made = SenderReference(index: index)
        owner.all[Int(index)] = made
        return made
    }

    /// Gives a sender back; the reference is good no more.
    mutating func giveBack(_ sender: SenderReference, _ budget: inout Budget) {
        precondition(sender.isOwned && owner.all[Int(sender.index)] == sender, "a sender is given back once")
        owner.all[Int(sender.index)] = nil
        free.append(sender.index)
        sender.free()
        budget.release(SenderPool.cost)
    }
}
