//! The small worlds of [`quorum_sim::exhaustive`], for the model checker.

use quorum_sim::exhaustive::{Action, Scope, World};
use stateright::{Model, Property};

pub(crate) struct Small(pub(crate) Scope);

impl Model for Small {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(&self.0)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        actions.extend(world.actions(&self.0));
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        Some(world.after(action, &self.0))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("S2, S3, S4, S5", |_, world: &World| {
                world.violated().is_none()
            }),
            Property::sometimes("somebody owns the disk", |_, world: &World| {
                world.has_owner()
            }),
        ]
    }
}
