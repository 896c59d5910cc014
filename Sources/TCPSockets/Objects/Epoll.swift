/// An epoll instance: what it watches, in the order it would report it.
final class Epoll {
    /// One descriptor that is watched.
    struct Watch {
        var descriptor: Int32
        var event: EpollEvent
        /// What was ready when pollers last looked: news are what was not.
        var known: UInt32 = 0
        /// Something new came since it was last reported: what EPOLLET waits for.
        var isFresh = false
        /// EPOLLONESHOT has reported it.
        var isSpent = false
    }

    var watches: [Watch] = []
    var closesOnExec = false

    func index(of descriptor: Int32) -> Int? { watches.firstIndex { $0.descriptor == descriptor } }
}
