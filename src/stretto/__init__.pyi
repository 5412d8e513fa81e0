from stretto import errors as errors
from stretto import events as events
from stretto import notebook as notebook
from stretto import proposal as proposal
from stretto.errors import StrettoError as StrettoError
from stretto.inputs import read_inputs as read_inputs
from stretto.models.functions import Function as Function
from stretto.models.providers import Provider as Provider
from stretto.models.simulator import Fault as Fault
from stretto.models.simulator import Simulator as Simulator
from stretto.run_stream import RunStream as RunStream
from stretto.runs import Run as Run
from stretto.shapes import schema_of as schema_of
from stretto.types import Coverage as Coverage
from stretto.types import Input as Input
from stretto.types import Limits as Limits
from stretto.types import Memory as Memory
from stretto.types import Plan as Plan
from stretto.types import Price as Price
from stretto.types import Result as Result
from stretto.types import Role as Role
from stretto.types import Subtask as Subtask
from stretto.types import Usage as Usage
from stretto.workflow import Workflow as Workflow

__all__: list[str]
__version__: str
